//! compactor-function.
