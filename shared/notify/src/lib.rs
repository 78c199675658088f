//! Telling Alertmanagers of alerts.
//!
//! ```text
//! alerts ─► external labels ─► alert_relabel_configs ─► for each Alertmanager at the same time:
//!   │          its entry's alert_relabel_configs ─► batches of 256 ─► POST …/api/v2/alerts ─► SendResult
//!   └─► grouped by name and severity ─► notices on the alert topic, if there is one ─► PublishResult
//! ```
//!
//! Nothing is queued or retried here: who evaluates rules sends what still fires again, and commits what it is going
//! to send before it sends it, so delivery is at least once. Alertmanager removes duplicates by labels and `startsAt`.
//!
//! Sources: `notifier/*.go` of Prometheus; the OpenAPI description of Alertmanager's API v2.

mod body;
mod publish;
mod send;

pub use publish::{PublishResult, publish};
pub use send::{BATCH_SIZE, SendError, SendResult, send};
