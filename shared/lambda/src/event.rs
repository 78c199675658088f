//! Events as AWS delivers them.

use cost::Trigger;
use model::time::align_down;
use serde::Deserialize;
use serde_json::Value;
use wire::{CollectTask, CompactTask, CompactWork, DiscoverTask};

/// The schedule of discovery and of the rule planner.
const MINUTE_MS: i64 = 60_000;

/// An event of a schedule: what the template's schedules send, or an operator by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Which task of the function.
    pub task: String,
    /// The instant that was scheduled, ms since the epoch; now where the event does not tell.
    pub at: i64,
    /// Which work of the task, where there are several kinds.
    pub work: CompactWork,
}

/// What a function was invoked with.
#[derive(Debug)]
pub(crate) enum Event {
    Schedule(Scheduled),
    Queue(Vec<Record>),
    Web(Value),
}

/// A message of a queue. Ours are text, which is sent as it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// Names it in the answer.
    pub(crate) message_id: String,
    /// What was sent.
    pub(crate) body: String,
}

#[derive(Deserialize)]
struct ScheduleEvent {
    task: String,
    #[serde(default)]
    scheduled: Option<String>,
    #[serde(default)]
    work: CompactWork,
}

#[derive(Deserialize)]
struct QueueEvent {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

/// What kind of event a payload is, before it is decoded.
pub(crate) fn trigger(payload: &Value) -> Trigger {
    if payload.get("Records").is_some() {
        Trigger::Queue
    } else if payload.get("requestContext").is_some() {
        Trigger::Http
    } else {
        Trigger::Schedule
    }
}

impl Event {
    /// Tells events apart by what only one kind has. A batch with a record that has no identifier is refused as a
    /// whole: nobody could be told of its failure, and silence means success.
    pub(crate) fn decode(payload: Value, now_ms: i64) -> Result<Self, String> {
        if payload.get("Records").is_some() {
            let event: QueueEvent = serde_json::from_value(payload).map_err(|error| error.to_string())?;
            return match event.records.iter().any(|record| record.message_id.is_empty()) {
                true => Err("a record has no messageId".to_owned()),
                false => Ok(Self::Queue(event.records)),
            };
        }
        if payload.get("task").is_some() {
            let event: ScheduleEvent = serde_json::from_value(payload).map_err(|error| error.to_string())?;
            let at = match event.scheduled.as_deref().map(str::trim) {
                // What EventBridge Scheduler would have replaced is still there.
                None | Some("") => now_ms,
                Some(text) if text.starts_with('<') => now_ms,
                Some(text) => {
                    model::rfc3339::parse(text).ok_or_else(|| format!("scheduled: no time: {text:?}"))?
                }
            };
            return Ok(Self::Schedule(Scheduled { task: event.task, at, work: event.work }));
        }
        if payload.get("requestContext").is_some() {
            return Ok(Self::Web(payload));
        }
        Err("an event of no known kind: no task, Records or requestContext".to_owned())
    }
}

/// The window that is planned at a minute: the minute after the next. A schedule fires up to a minute late, and what is
/// sent for later waits in the queue.
#[must_use]
pub fn window(scheduled: &Scheduled) -> DiscoverTask {
    let minute = align_down(scheduled.at, MINUTE_MS);
    DiscoverTask { from: minute.saturating_add(MINUTE_MS), until: minute.saturating_add(2 * MINUTE_MS) }
}

/// The task of a compactor that was scheduled.
#[must_use]
pub fn compact_task(scheduled: &Scheduled) -> CompactTask {
    CompactTask { tick: scheduled.at, work: scheduled.work }
}

/// The task of a collector that was scheduled.
#[must_use]
pub fn collect_task(scheduled: &Scheduled) -> CollectTask {
    CollectTask { tick: scheduled.at }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_012_345;

    fn scheduled(payload: Value) -> Result<Scheduled, String> {
        match Event::decode(payload, NOW)? {
            Event::Schedule(scheduled) => Ok(scheduled),
            event => Err(format!("{event:?}")),
        }
    }

    #[test]
    fn a_schedule_s_window_is_the_minute_after_the_next_and_the_same_for_all_its_deliveries() {
        let task = |at: &str| window(&scheduled(json!({"task": "discover", "scheduled": at})).unwrap());
        let first = task("2027-01-15T08:00:00Z");
        assert_eq!(first, DiscoverTask { from: 1_800_000_060_000, until: 1_800_000_120_000 });
        assert_eq!(task("2027-01-15T08:00:59.999Z"), first);
        assert_eq!(task("2027-01-15T08:01:00Z").from, first.until);
    }

    #[test]
    fn a_time_that_was_not_filled_in_is_now_and_nonsense_is_refused() {
        for event in [
            json!({"task": "discover"}),
            json!({"task": "discover", "scheduled": "<aws.scheduler.scheduled-time>"}),
            json!({"task": "discover", "scheduled": ""}),
            json!({"task": "discover", "scheduled": null}),
        ] {
            assert_eq!(scheduled(event).unwrap().at, NOW);
        }
        assert!(scheduled(json!({"task": "discover", "scheduled": "noon"})).unwrap_err().contains("noon"));
    }

    #[test]
    fn work_is_all_of_it_unless_the_schedule_says_which() {
        let work = |event| compact_task(&scheduled(event).unwrap()).work;
        assert_eq!(work(json!({"task": "compact"})), CompactWork::All);
        assert_eq!(work(json!({"task": "compact", "work": "segments"})), CompactWork::Segments);
        assert_eq!(work(json!({"task": "compact", "work": "blocks"})), CompactWork::Blocks);
        assert!(scheduled(json!({"task": "compact", "work": "nothing"})).is_err());
    }

    #[test]
    fn a_batch_whose_failures_could_not_be_named_is_refused() {
        let record =
            |id: &str| json!({"messageId": id, "body": "{}", "receiptHandle": "r", "attributes": {}});
        let decode = |records: Vec<Value>| Event::decode(json!({"Records": records}), NOW);
        assert!(
            matches!(decode(vec![record("a"), record("b")]), Ok(Event::Queue(records)) if records.len() == 2)
        );
        assert!(decode(vec![record("a"), record("")]).is_err());
        assert!(decode(vec![json!({"body": "{}"})]).is_err());
        assert!(Event::decode(json!({"what": "else"}), NOW).is_err());
        assert!(Event::decode(json!(null), NOW).is_err());
    }
}
