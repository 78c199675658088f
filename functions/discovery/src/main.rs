//! Discovery on Lambda: each minute it plans the scrapes of the minute after the next.

use std::process::ExitCode;
use std::sync::Arc;

use discovery::PackSettings;
use discovery_function::Discovery;
use lambda::{Function, Parts};

#[cfg(test)]
mod events;

fn main() -> ExitCode {
    lambda::start("discovery", wire)
}

fn wire(parts: &Parts) -> Function {
    let discovery = Discovery::new(
        parts.platform.clone(),
        Arc::clone(&parts.configs),
        Arc::clone(&parts.metrics),
        PackSettings::for_functions(),
    );
    Function::new(parts).scheduled("discover", lambda::window, discovery)
}
