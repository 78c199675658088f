//! One scrape: from a target to the samples that are stored.
//!
//! ```text
//! ScrapeTask ──► batch: every target at its own instant, each bounded by its own timeout
//!                  │
//!                  ▼
//!    request ──► Fetcher ──► textparse ──► labels (honor_labels, target labels, relabelling, limits) ──► storage::Scrape
//!                                            ▲
//!                                  cache: text of a series ──► its labels, from scrape to scrape
//! ```
//!
//! A scrape is all or nothing: whatever is wrong with it, from a refused connection to a sample over the limit, leaves
//! only its report series, with `up` 0. What is accepted, what is counted and the text of every error are
//! Prometheus's (`scrape/scrape.go`), for users know them from `lastError` and from dashboards.
//!
//! [`Scraper`] remembers, per target, which labels a series' text stands for. That is an optimisation: a scraper that
//! has forgotten everything writes the same samples, only `scrape_series_added` starts anew.

mod batch;
mod body;
mod cache;
mod counts;
mod error;
mod labels;
mod metadata;
mod report;
mod request;
mod scraper;

pub use batch::due_at;
pub use counts::ScrapeCounts;
pub use error::ScrapeError;
pub use scraper::{ScrapePorts, Scraper};

#[cfg(test)]
mod tests;
