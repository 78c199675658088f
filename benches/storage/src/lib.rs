//! Measures the store's formats beside those of Prometheus and VictoriaMetrics, on the same samples in the same run.
//!
//! ```text
//! capture   recorded scrapes ──┐                ┌──► foxfire's blocks      ┐
//!                              ├──► DataSet ────┼──► promtool's block      ├──► bytes a sample      ──► Table
//! generate  exporters, seeded ─┘  (or Scrapes)  └──► VictoriaMetrics       ┘
//!                                               Lab: the store on a simulated platform
//!                                                    whose requests are counted ──► requests, rounds, cost
//! ```
//!
//! The binary `storage-bench` runs everything; the others under `src/bin` look closer at one part each. What they share
//! is here. Sizes and counts are deterministic; speeds are the best of a few repetitions, on one core.

pub mod capture;
pub mod counting;
pub mod data;
pub mod draw;
pub mod generate;
pub mod lab;
pub mod options;
pub mod parts;
pub mod peers;
pub mod stopwatch;
pub mod table;
pub mod usage;

/// What a bench can run into. It ends with the text of it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
