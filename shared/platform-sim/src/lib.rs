//! platform-sim.
