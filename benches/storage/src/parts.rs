//! What is measured, a table each.

pub mod reads;
pub mod sizes;
pub mod speed;
pub mod wal;
pub mod wal_cost;
