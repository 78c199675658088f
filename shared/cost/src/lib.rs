//! What running on AWS costs: what was used, at which prices, and what that comes to a month. Pure arithmetic.
//!
//! ```text
//! counted:   a request's sizes ─► units ─► Usage (by function and action) ─┐
//! assumed:   a Workload ─────────► model ──► Usage of a month ─────────────┼─► Bill: lines of quantity x price = amount
//!                                                        Prices (us-east-1)┘
//! ```
//!
//! A month has 730 hours, as in AWS's own calculator. No free tier is taken off. Money is US dollars in `f64`: bills are
//! estimates to a few digits.

mod bill;
mod deployment;
mod model;
mod peers;
mod prices;
mod record;
pub mod units;
mod usage;

pub use bill::{Bill, Line};
pub use deployment::Deployment;
pub use model::Workload;
pub use peers::{PeerPrice, peers};
pub use prices::{LAMBDA_ARM64, LAMBDA_X86_64, Prices, US_EAST_1};
pub use record::{RECORD_MARK, Record, RecordError};
pub use usage::{Architecture, FunctionUsage, Requests, Trigger, Usage};

/// Seconds of a month: 730 hours.
pub const MONTH_SECONDS: f64 = 2_628_000.0;

/// Bytes of a GB as AWS bills them: 2^30.
pub const GB: f64 = 1_073_741_824.0;
