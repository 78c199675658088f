//! discovery-function.
