//! The ruler on Lambda: each minute it plans the evaluations of the minute after the next; every message of the rule
//! queue is one of them.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::{Function, Parts};
use ruler_function::{RulePlanner, Ruler, RulerSettings};

#[cfg(test)]
mod events;

fn main() -> ExitCode {
    lambda::start("ruler", wire)
}

fn wire(parts: &Parts) -> Function {
    let (platform, configs) = (&parts.platform, &parts.configs);
    let planner = RulePlanner::new(platform.clone(), Arc::clone(configs), Arc::clone(&parts.store));
    let settings = RulerSettings {
        engine: parts.settings.engine(),
        external_url: parts.settings.external_url.clone(),
        resend_delay: parts.settings.resend_delay,
        query_timeout: parts.settings.query_timeout,
    };
    let ruler = Ruler::new(
        platform.clone(),
        Arc::clone(configs),
        Arc::clone(&parts.store),
        Arc::clone(&parts.metrics),
        settings,
    );
    Function::new(parts).scheduled("plan_rules", lambda::window, planner).queued(ruler)
}
