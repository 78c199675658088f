use std::sync::{Arc, Mutex};

use platform::{Deadline, Handler, PlatformFuture, Retry};

use super::*;
use crate::task;

/// Does what its task says.
struct Obedient;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

impl Handler for Obedient {
    type Task = String;
    type Error = Refused;

    async fn handle(&self, task: String, _: Deadline) -> Result<(), Refused> {
        match task.as_str() {
            "panic" => panic!("as told"),
            "hang" => std::future::pending().await,
            "later" | "never" => Err(Refused(task)),
            _ => Ok(()),
        }
    }

    fn retry(error: &Refused) -> Retry {
        if error.0 == "later" { Retry::Later } else { Retry::Never }
    }
}

#[derive(Default)]
struct Kept {
    letters: Mutex<Vec<DeadLetter>>,
    refuses: bool,
}

impl DeadLetterQueue for Kept {
    fn keep<'a>(&'a self, letter: &'a DeadLetter) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            if self.refuses {
                return Err(platform::PlatformError::Throttled { operation: "send".to_owned() });
            }
            self.letters.lock().unwrap().push(letter.clone());
            Ok(())
        })
    }
}

/// Real time, for tokio's timers know no other; only what hangs takes any.
fn run(bodies: &[&str], dead_letters: Option<&Kept>) -> BatchOutcome {
    let clock: Arc<dyn Clock> = Arc::new(platform_system::SystemClock::default());
    let records = bodies
        .iter()
        .map(|body| Record { message_id: format!("id-{body}"), body: (*body).to_owned() })
        .collect();
    let now = clock.now_ms();
    // No time for a second attempt.
    let budget = Budget { deadline: Deadline(now + 900), end: Deadline(now + 1_000) };
    let handler = Arc::new(Obedient);
    let begin = |body: &str| match body {
        "no task" => Err(Failed::for_ever("no such task")),
        body => Ok(task::work(&handler, &clock, body.to_owned(), budget.deadline)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dead_letters = dead_letters.map(|kept| kept as &dyn DeadLetterQueue);
    runtime.block_on(handle("f", records, begin, dead_letters, budget, &*clock))
}

#[test]
fn a_failure_costs_its_own_message_only() {
    let kept = Kept::default();
    let outcome = run(&["a", "later", "b", "panic", "never", "hang", "no task", "c"], Some(&kept));
    assert_eq!(outcome.failures, ["id-later", "id-hang"]);
    assert_eq!(outcome.errors, 5);
    let letters: Vec<(String, String)> = kept
        .letters
        .lock()
        .unwrap()
        .iter()
        .map(|letter| (letter.body.clone(), letter.reason.clone()))
        .collect();
    let expected = [("panic", "panicked: as told"), ("never", "never"), ("no task", "no such task")];
    assert_eq!(letters, expected.map(|(body, reason)| (body.to_owned(), reason.to_owned())));
    assert_eq!(
        outcome.answer(),
        json!({"batchItemFailures": [{"itemIdentifier": "id-later"}, {"itemIdentifier": "id-hang"}]})
    );
}

#[test]
fn a_batch_that_succeeds_names_nobody() {
    let outcome = run(&["a", "b"], None);
    assert_eq!(outcome, BatchOutcome::default());
    assert_eq!(outcome.answer(), json!({"batchItemFailures": []}));
}

#[test]
fn a_dead_letter_that_is_not_kept_is_delivered_again() {
    assert_eq!(run(&["never", "a"], None).failures, ["id-never"]);
    let refusing = Kept { refuses: true, ..Kept::default() };
    assert_eq!(run(&["a", "never"], Some(&refusing)).failures, ["id-never"]);
}
