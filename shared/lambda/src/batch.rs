//! A batch of messages: each a task of its own.
//!
//! ```text
//! records ─┬─ done ──────────────────────────────► acknowledged by silence
//!          ├─ failed, may pass ──────────────────► named in batchItemFailures: delivered again
//!          ├─ can never be done; panicked ──► dead letter kept with its reason ──► acknowledged; named where it was not kept
//!          └─ not done when time is up ──────────► named
//! ```

use std::collections::BTreeMap;

use platform::Clock;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::budget::Budget;
use crate::dead_letters::{DeadLetter, DeadLetterQueue};
use crate::event::Record;
use crate::task::{Failed, Work};

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchOutcome {
    /// Identifiers of the records that are to be delivered again, in the order of the batch.
    pub(crate) failures: Vec<String>,
    /// Records that were not done, whatever became of them.
    pub(crate) errors: u64,
}

impl BatchOutcome {
    /// What SQS's event source mapping is answered with.
    pub(crate) fn answer(&self) -> Value {
        let failures: Vec<Value> = self.failures.iter().map(|id| json!({ "itemIdentifier": id })).collect();
        json!({ "batchItemFailures": failures })
    }
}

/// Handles the records of a batch at the same time.
pub(crate) async fn handle(
    function: &str,
    records: Vec<Record>,
    work: impl Fn(&str) -> Result<Work, Failed>,
    dead_letters: Option<&dyn DeadLetterQueue>,
    budget: Budget,
    clock: &dyn Clock,
) -> BatchOutcome {
    let mut running = JoinSet::new();
    let mut ended: BTreeMap<usize, Result<(), Failed>> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        match work(&record.body) {
            Ok(work) => {
                running.spawn(async move { (index, work.await) });
            }
            Err(failed) => {
                ended.insert(index, Err(failed));
            }
        }
    }
    let all = async {
        while let Some(joined) = running.join_next().await {
            // A task catches its own panics, so that whose it was is known; nobody else ends it.
            if let Ok((index, result)) = joined {
                ended.insert(index, result);
            }
        }
    };
    // Dropped with this function, what is still running ends at its next await.
    let _ = tokio::time::timeout(budget.end.remaining(clock), all).await;
    drop(running);
    let mut outcome = BatchOutcome::default();
    for (index, record) in records.into_iter().enumerate() {
        let result =
            ended.remove(&index).unwrap_or_else(|| Err(Failed::for_now("not done when the time was up")));
        let Err(failed) = result else { continue };
        outcome.errors += 1;
        let message_id = record.message_id.clone();
        let kept = if failed.retry {
            tracing::error!(
                message_id,
                reason = failed.reason,
                "a message was not handled; it will be delivered again"
            );
            false
        } else {
            bury(function, record, failed, dead_letters).await
        };
        if !kept {
            outcome.failures.push(message_id);
        }
    }
    outcome
}

/// Puts a message where it is kept with its reason; whether that succeeded.
async fn bury(
    function: &str,
    record: Record,
    failed: Failed,
    dead_letters: Option<&dyn DeadLetterQueue>,
) -> bool {
    let message_id = record.message_id.clone();
    tracing::error!(message_id, reason = failed.reason, "a message can never be handled");
    let Some(queue) = dead_letters else { return false };
    let letter = DeadLetter {
        body: record.body,
        reason: failed.reason,
        function: function.to_owned(),
        message_id: record.message_id,
    };
    match queue.keep(&letter).await {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(message_id, %error, "a dead letter was not kept; the message will be delivered again");
            false
        }
    }
}

#[cfg(test)]
mod tests;
