//! tsdb.

pub mod block;
pub mod wal;
