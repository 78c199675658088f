//! The Prometheus text exposition format, versions 0.0.4 and 1.0.0 (quoted UTF-8 names), and OpenMetrics 1.0: bytes in,
//! events out.
//!
//! ```text
//! body ──► Parser ──► Event::Series { text, value, timestamp } ──► Series::labels, only for series not seen before
//!            │
//!            ├─ fast:   lines as clients write them; gives up on anything else
//!            └─ strict: every other line, token by token; the only one that reports errors
//!
//! body, or piece by piece ──► OpenMetricsParser ──► the same events, and units, exemplars, `_created` (openmetrics)
//! ```
//!
//! What is accepted, and the text of every error, is what Prometheus's own parser accepts and says
//! (`model/textparse/promparse.go` and `promlex.l`), its quirks included: a body that Prometheus scrapes must scrape
//! here, and the other way round. Events borrow from the body; nothing is allocated for a sample.
//!
//! The crate is pure: no I/O, no clock. It never panics on any input.

mod content_type;
mod error;
mod event;
mod fast;
mod labels;
mod lexer;
mod number;
mod openmetrics;
mod parser;
mod strict;

pub use content_type::{ContentTypeError, check_text_content_type};
pub use error::{ParseError, quote_bytes};
pub use event::{Event, MetricType, Series};
pub use labels::{ExposedLabel, InvalidNames, unescape_value};
pub use openmetrics::{ExposedExemplar, OpenMetricsParser, OpenMetricsState};
pub use parser::Parser;
