//! How a handler runs on Lambda: settings from the environment, events in, answers out.
//!
//! ```text
//! main ─► start ─► Settings (environment) ─► Parts (platform, store, configurations: made once, no request sent)
//!                                               │
//! Runtime API ─► Function::invoke ─┬─ schedule ─► task of a Handler, tried again while there is time
//!                                  ├─ SQS batch ─► every record a task of its own; failures named one by one
//!                                  └─ HTTP API ─► request ─► response, within Lambda's limit
//!                                        ├─► Report: one line of numbers an invocation, metrics for CloudWatch
//!                                        └─► telemetry::UsageMeter: each minute a line of what was used, for `foxfire cost`
//! ```
//!
//! Every task runs isolated: a panic fails that task alone, and none outlives its invocation, for Lambda freezes what is
//! left. The events are those of EventBridge Scheduler, SQS and API Gateway's HTTP APIs (payload 2.0, which function URLs
//! share); samples of them are in the folder `events`.

mod batch;
mod budget;
mod dead_letters;
mod event;
mod function;
mod init;
mod parts;
mod report;
mod settings;
mod store;
mod task;
pub mod testing;
mod web;

pub use budget::Budget;
pub use dead_letters::{DeadLetter, DeadLetterQueue};
pub use event::{Scheduled, collect_task, compact_task, window};
pub use function::{Function, InvocationError, Web};
pub use init::start;
pub use parts::Parts;
pub use settings::{Settings, SettingsError};
pub use store::store_settings;
