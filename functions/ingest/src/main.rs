//! Ingest on Lambda: what others push through the HTTP API.

use std::process::ExitCode;
use std::sync::Arc;

use ingest_function::Ingest;
use lambda::{Function, Parts};

#[cfg(test)]
mod events;

fn main() -> ExitCode {
    lambda::start("ingest", wire)
}

fn wire(parts: &Parts) -> Function {
    let (store, metrics) = (Arc::clone(&parts.store), Arc::clone(&parts.metrics));
    let ingest = Arc::new(Ingest::new(parts.platform.clone(), store, metrics));
    Function::new(parts).web(Arc::new(move |request| {
        let ingest = Arc::clone(&ingest);
        Box::pin(async move { ingest.route(request).await })
    }))
}
