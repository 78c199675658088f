//! What every real adapter of the seam has in common: the system's time and randomness, and HTTP out.
//!
//! ```text
//!  platform-local   platform-aws
//!        └──────┬──────┘
//!        SystemClock  SystemEntropy     the machine's
//!        SystemFetcher                  pooled connections, every address checked, every body bounded
//! ```
//!
//! Futures must be polled within a tokio runtime.
#![expect(clippy::disallowed_methods, reason = "this crate is where the system's time is read")]

mod fetcher;
mod time;
mod words;

pub use fetcher::{AddressRules, FetcherError, SystemFetcher};
pub use time::{SystemClock, SystemEntropy, now_ms};
pub use words::system_words;
