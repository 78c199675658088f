//! The scraper on Lambda: every message of the scrape queue is a batch of targets at one tick.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::{Function, Parts};
use scraper_function::Scraper;

#[cfg(test)]
mod events;

fn main() -> ExitCode {
    lambda::start("scraper", wire)
}

fn wire(parts: &Parts) -> Function {
    let scraper = Scraper::new(
        parts.platform.clone(),
        Arc::clone(&parts.configs),
        Arc::clone(&parts.store),
        Arc::clone(&parts.metrics),
    );
    Function::new(parts).queued(scraper)
}
