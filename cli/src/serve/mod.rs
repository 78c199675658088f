//! `foxfire serve`: the pipeline in one process.
//!
//! ```text
//! flags ─► files (prometheus.yml, rules) ─► wiring (adapters, store, handlers) ─┬─► pipeline: schedule, queues, workers
//!                                                    ▲                          ├─► http: the API, /metrics, /-/reload
//!                                          SIGHUP, POST /-/reload ◄─────────────┴─► signals: SIGTERM, Ctrl-C
//! ```

pub(crate) mod files;
mod flags;
mod http;
mod lenient;
mod metering;
mod pipeline;
mod reload;
mod run;
mod signals;
mod wiring;
mod workers;

pub(crate) use flags::ServeFlags;
pub(crate) use run::main;
