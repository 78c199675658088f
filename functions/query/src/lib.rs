//! query-function.
