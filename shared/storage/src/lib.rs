//! Prometheus's storage interfaces: what a PromQL engine, a scraper and a rule group see of a store.
//!
//! ```text
//! scrape, rules ──► Scrape (the complete result of one source at one instant) ──► a WAL segment
//! promql plan  ──► Select, Select, … ──► Queryable::select (loads all of them at once) ──► SeriesSet, SeriesSet, …
//! ```
//!
//! A query says *everything* it will read before anything is loaded ([`Queryable::select`] takes a slice), because
//! on an object store concurrent loading is what makes it fast. What comes back is columnar.
//!
//! Times are milliseconds since the Unix epoch; ranges given to a [`Queryable`] are inclusive at both ends, as those
//! of Prometheus's `Querier` are.

mod queryable;
mod scrape;

pub use queryable::{
    ExemplarQueryable, HistogramColumn, LabelQuery, Limits, MetadataQueryable, Queryable, Select,
    SelectHints, Series, SeriesExemplars, SeriesSet, StartTimestamps, StorageError, StorageFuture,
};
pub use scrape::{Coverage, Scrape, ScrapeExemplar, ScrapeHistogram, ScrapeOutcome, ScrapeSample, SourceId};
