//! The collector on Lambda: each hour it deletes what nothing refers to. It alone may.

use std::process::ExitCode;
use std::sync::Arc;

use compactor_function::Collector;
use lambda::{Function, Parts};

#[cfg(test)]
mod events;

fn main() -> ExitCode {
    lambda::start("collector", wire)
}

fn wire(parts: &Parts) -> Function {
    let collector = Collector::new(parts.platform.clone(), Arc::clone(&parts.store));
    let collector = collector.counting(Arc::clone(&parts.metrics));
    Function::new(parts).scheduled("collect", lambda::collect_task, collector)
}
