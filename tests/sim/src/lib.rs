//! The whole pipeline, simulated: the real handlers on a simulated platform, under faults, against an oracle.
