//! Scripted attempts under paused time.

use std::sync::Mutex;

use super::*;

#[derive(Default)]
struct Counted(Mutex<Vec<Billed>>);

impl Meter for Counted {
    fn count(&self, billed: Billed) {
        self.0.lock().unwrap().push(billed);
    }
}

fn caller(meter: &Arc<Counted>) -> Caller {
    let meter: Arc<dyn Meter> = Arc::clone(meter) as _;
    Caller::of_the_system(&meter)
}

fn refused() -> Failure {
    Failure::Refused("busy".to_owned())
}

fn unknown() -> Failure {
    Failure::Unknown("reset".to_owned())
}

fn denied() -> Failure {
    Failure::Final(PlatformError::Denied { operation: "create a".to_owned(), reason: "no".to_owned() })
}

/// What a call comes to whose attempts fail as in `script` and then succeed, and what each was told.
async fn run(call: Call, script: Vec<Failure>) -> (Result<u32, PlatformError>, Vec<bool>) {
    let told = Mutex::new(Vec::new());
    let script = Mutex::new(script.into_iter());
    let caller = caller(&Arc::default());
    let outcome = caller
        .call(call, |unknown| {
            told.lock().unwrap().push(unknown);
            let next = script.lock().unwrap().next();
            async move { next.map_or(Ok(7), Err) }
        })
        .await;
    (outcome, told.into_inner().unwrap())
}

fn change() -> Call {
    Call::change("s3", "PutObject", "create a".to_owned())
}

fn read() -> Call {
    Call::read("s3", "GetObject", "object a".to_owned())
}

fn ambiguous() -> PlatformError {
    PlatformError::Ambiguous { operation: "create a".to_owned(), reason: "reset".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_and_each_attempt_knows_of_unknown_ones() {
    let (outcome, told) = run(change(), vec![refused(), unknown(), refused()]).await;
    assert_eq!((outcome, told), (Ok(7), vec![false, false, true, true]));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_an_unknown_attempt_does_not_hide_it() {
    let script = std::iter::once(unknown()).chain((0..20).map(|_| refused())).collect();
    assert_eq!(run(change(), script).await.0, Err(ambiguous()));
    assert_eq!(run(change(), vec![unknown(), denied()]).await.0, Err(ambiguous()));
}

#[tokio::test(start_paused = true)]
async fn attempts_end_and_then_nothing_has_happened() {
    let (outcome, told) = run(change(), (0..20).map(|_| refused()).collect()).await;
    assert_eq!(outcome, Err(PlatformError::Throttled { operation: "create a".to_owned() }));
    assert_eq!(told.len(), ATTEMPTS_MAX as usize);
    let (outcome, _) = run(change(), vec![refused(), denied()]).await;
    assert!(matches!(outcome, Err(PlatformError::Denied { .. })), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_read_has_no_unknown_outcome() {
    let (outcome, _) = run(read(), (0..20).map(|_| unknown()).collect()).await;
    assert_eq!(outcome, Err(PlatformError::Throttled { operation: "object a".to_owned() }));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_is_abandoned_counted_and_unknown() {
    let meter = Arc::new(Counted::default());
    let attempts = Mutex::new(0);
    let outcome = caller(&meter)
        .call(change(), |unknown| {
            *attempts.lock().unwrap() += 1;
            async move { if unknown { Ok(1) } else { std::future::pending().await } }
        })
        .await;
    assert_eq!((outcome, *attempts.lock().unwrap()), (Ok(1), 2));
    let counted = meter.0.lock().unwrap();
    assert_eq!(counted.len(), 1);
    assert_eq!((counted[0].service, counted[0].operation), ("s3", "PutObject"));
}

#[test]
fn waits_grow_to_a_bound() {
    let caller = caller(&Arc::default());
    for attempts in 1..40 {
        let most = WAIT_FIRST * (1 << (attempts - 1).min(9));
        for _ in 0..20 {
            assert!(caller.wait(attempts) <= most.min(WAIT_MAX));
        }
    }
}
