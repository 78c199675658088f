//! foxfire.
fn main() {}
