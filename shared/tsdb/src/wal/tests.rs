//! Properties of the WAL codec.
