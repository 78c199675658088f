//! ruler-function.
