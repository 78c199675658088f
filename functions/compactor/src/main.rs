//! The compactor on Lambda: each minute segments to blocks, every few minutes blocks to larger blocks.

use std::process::ExitCode;
use std::sync::Arc;

use compactor_function::Compactor;
use lambda::{Function, Parts};

#[cfg(test)]
mod events;

fn main() -> ExitCode {
    lambda::start("compactor", wire)
}

fn wire(parts: &Parts) -> Function {
    let compactor = Compactor::new(Arc::clone(&parts.store), Arc::clone(&parts.metrics));
    Function::new(parts).scheduled("compact", lambda::compact_task, compactor)
}
