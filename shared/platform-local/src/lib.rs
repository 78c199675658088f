//! platform-local.
