//! What other systems push: Prometheus's remote write protocol, versions 1.0 and 2.0, as pure functions.
//!
//! ```text
//! Content-Type ──► Message::of ──┐
//! body ──► decompress (snappy) ──┴──► decode ──► WriteRequest: sound series, and why others were refused
//! ```
//!
//! Everything comes from outside: whatever the bytes are, a result is a request or an error, never a panic, and memory is
//! bounded by [`Limits`], also where a few bytes stand for many (compression, symbols that are used again and again).
//! What is accepted, and the text of refusals, is Prometheus's (`storage/remote/write_handler.go`, and
//! `exp/api/remote` of its client library).
//!
//! The crate knows neither HTTP nor storage: `functions/ingest` brings them together.

mod decompress;
mod histogram;
mod labels;
mod limits;
mod message;
mod proto;
mod request;
pub mod testing;
mod v1;
mod v2;

pub use decompress::decompress;
pub use limits::Limits;
pub use message::{Message, UnsupportedMessage};
pub use proto::Malformed;
pub use request::{DecodeError, Refusals, Sample, TimeSeries, WriteRequest, decode};

#[cfg(test)]
mod tests;
