//! The data model of Prometheus as pure values: labels, matchers, samples, staleness, durations.
//!
//! Every other crate speaks in these types; this one knows no I/O, no clock and no other crate of foxfire.
//!
//! ```text
//! labels   Labels, the identity of a series           matcher   what selects series
//! regex    Prometheus's regular expressions (RE2)     value     the two NaNs
//! time     TimestampMs                                duration  `5m`, `1h30m`
//! relabel  relabel_configs: labels in, labels out     number    numbers as Go prints them
//! rfc3339  instants as text                        histogram native histograms
//! metadata type, help and unit of a family         exemplar  single observations
//! ```
//!
//! Units: timestamps are milliseconds since the Unix epoch in `i64`; durations are [`std::time::Duration`] or,
//! where they may be negative, `i64` milliseconds.

pub mod duration;
pub mod exemplar;
pub mod histogram;
pub mod labels;
pub mod matcher;
mod md5;
pub mod metadata;
pub mod number;
pub mod regex;
pub mod relabel;
pub mod rfc3339;
pub mod time;
pub mod value;

pub use exemplar::Exemplar;
pub use histogram::{CounterResetHint, FloatHistogram, Span};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use metadata::{Metadata, MetricType};
pub use time::TimestampMs;
