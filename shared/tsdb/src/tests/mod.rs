//! Tests of the store as a whole, against a naive reference and in a world with faults.

mod answers;
mod chains;
mod chaos;
mod deletions;
mod equivalence;
mod extras;
mod extremes;
mod faults;
pub(crate) mod model;
mod parts;
mod protocol;
pub(crate) mod world;
