//! Messages and ticks that come twice, that can never be handled, whose function is killed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws::{Target, function_processes, kill, now_ms};
use e2e::eventually;
use serde_json::{Value, json};
use wire::{Pointer, ScrapeTarget, ScrapeTask, WireLabels};

use crate::scene::Scene;

const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_poison_message_is_kept_with_its_reason_while_its_batch_proceeds_and_duplicates_change_nothing() {
    let _nobody_is_killed = alone();
    let scene = Scene::set();
    scene.samples("up{job=\"steady\"}", 1);
    let target = Target::start(Duration::ZERO);
    let task = task(scene, "crafted", &target, now_ms());
    let poison = "{\"this is\": \"no task\"}";
    send(scene, &[&task, poison, &task, &task, &task]);
    let stored = scene.samples("up{job=\"crafted\"}", 1);
    let letter = eventually("the poison message in the dead-letter queue", Duration::from_secs(150), || {
        let letters = scene.peek(scene.stack.output("DeadLetterQueueUrl"));
        letters.iter().find(|letter| letter["Body"] == poison).cloned().ok_or_else(|| format!("{letters:?}"))
    });
    let attribute =
        |name: &str| letter["MessageAttributes"][name]["StringValue"].as_str().unwrap_or_default();
    assert!(attribute("foxfire.reason").contains("task"), "{letter}");
    assert_eq!(attribute("foxfire.function"), "scraper", "{letter}");

    // Again, when all copies have been handled.
    send(scene, &[&task, &task]);
    drained(scene);
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!(scene.samples_now("up{job=\"crafted\"}").unwrap(), stored);
    assert_eq!(scene.samples_now("scrapes_total{job=\"crafted\"}").unwrap().len(), 1);
}

#[test]
fn ticks_that_fire_again_change_nothing() {
    let _nobody_is_killed = alone();
    let scene = Scene::set();
    scene.samples("up{job=\"steady\"}", 3);
    // A minute whose scrapes are over.
    let minute = now_ms() / 60_000 * 60_000;
    let first = scene.samples_now("up{job=\"steady\"}").unwrap()[0].0;
    let past = |rows: std::collections::BTreeMap<(String, String), Value>| -> Vec<_> {
        let until = format!("{:015}", now_ms().min(minute));
        rows.into_iter().filter(|((_, sort), _)| *sort < until).collect()
    };
    std::thread::sleep(Duration::from_secs(20));
    let (rows, plans) = (past(scene.stack.rows("wal/")), scene.stack.rows("plans"));
    assert!(!rows.is_empty() && !plans.is_empty());
    for back in [1, 2] {
        let scheduled = model::rfc3339::format(minute - back * 60_000);
        for (function, event) in [
            ("DiscoveryFunction", json!({"task": "discover", "scheduled": scheduled})),
            ("RulerFunction", json!({"task": "plan_rules", "scheduled": scheduled})),
            ("CompactorFunction", json!({"task": "compact", "work": "segments", "scheduled": scheduled})),
            ("CompactorFunction", json!({"task": "compact", "work": "blocks", "scheduled": scheduled})),
            ("CollectorFunction", json!({"task": "collect", "scheduled": scheduled})),
        ] {
            scene.stack.cloud.invoke(scene.stack.resource(function), &event);
        }
    }
    drained(scene);
    let again = past(scene.stack.rows("wal/"));
    for (key, row) in &rows {
        let found = again.iter().find(|(other, _)| other == key);
        assert_eq!(found.map(|(_, row)| row), Some(row), "{key:?}");
    }
    let plans_again = scene.stack.rows("plans");
    for (key, plan) in plans {
        assert_eq!(plans_again.get(&key), Some(&plan), "{key:?}");
    }
    let samples = scene.samples_now("up{job=\"steady\"}").unwrap();
    assert!(samples.iter().any(|(at, _)| *at == first), "{samples:?}");
}

#[test]
fn a_scraper_that_is_killed_in_the_middle_is_followed_by_another() {
    let _guard = alone();
    let scene = Scene::set();
    scene.samples("up{job=\"steady\"}", 1);
    let target = Target::start(Duration::from_secs(3));
    let task = task(scene, "killed", &target, now_ms());
    send(scene, &[&task]);
    eventually("the scrape to begin", Duration::from_secs(60), || {
        if target.scrapes().is_empty() { Err("not yet".to_owned()) } else { Ok(()) }
    });
    let scrapers = function_processes(scene.stack.localstack_pid(), "ScraperFunction");
    assert!(!scrapers.is_empty());
    let killed = scrapers.into_iter().filter(|pid| kill(*pid)).count();
    assert!(killed > 0);
    assert!(scene.samples_now("up{job=\"killed\"}").unwrap().is_empty());
    // Its message is seen again a minute later.
    let stored = scene.samples("up{job=\"killed\"}", 1);
    assert_eq!((stored.len(), stored[0].1.as_str()), (1, "1"), "{stored:?}");
    assert!(target.scrapes().len() >= 2, "{:?}", target.scrapes());
}

#[test]
fn schedules_go_on_whoever_is_killed() {
    let _guard = alone();
    let scene = Scene::set();
    scene.samples("job:scrapes:sum{job=\"steady\"}", 1);
    let mut killed = 0;
    for _ in 0..40 {
        for function in ["DiscoveryFunction", "RulerFunction", "CompactorFunction"] {
            let processes = function_processes(scene.stack.localstack_pid(), function);
            killed += processes.into_iter().filter(|pid| kill(*pid)).count();
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(killed >= 3, "{killed} killed");
    let after = now_ms();
    for series in ["up{job=\"steady\"}", "job:scrapes:sum{job=\"steady\"}"] {
        eventually(&format!("{series} to go on"), Duration::from_secs(240), || {
            let samples = scene.samples_now(series)?;
            if samples.iter().filter(|(at, _)| *at > after).count() >= 3 {
                Ok(())
            } else {
                Err(format!("{samples:?}"))
            }
        });
    }
}

/// Of those tests that kill, or mind when somebody does, one runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task as discovery would send it, of a job of its own, that nobody overtakes for an hour.
fn task(scene: &Scene, job: &str, target: &Target, tick: i64) -> String {
    let registers = scene.stack.rows("control");
    let key = ("control".to_owned(), "config".to_owned());
    // The register's value is JSON: `v` holds it in base 64.
    let pointer: Pointer =
        wire::decode("register", &base64(registers[&key]["v"]["B"].as_str().unwrap())).unwrap();
    let labels = [("instance", target.address.as_str()), ("job", job)];
    let labels = WireLabels(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let task = ScrapeTask {
        config: pointer.key,
        tick,
        shard: 90_000 + u32::from(job.as_bytes()[0]),
        targets: vec![ScrapeTarget {
            source: format!("{:016x}", u64::from_be_bytes(*b"foxfire0") ^ job.len() as u64),
            pool: "steady".to_owned(),
            url: format!("http://{}/metrics", target.address),
            labels: labels.clone(),
            discovered: labels,
            interval_ms: HOUR_MS,
            timeout_ms: 10_000,
            // Due at its tick.
            offset_ms: u64::try_from(tick).unwrap() % HOUR_MS,
            forced_error: None,
        }],
        gone: Vec::new(),
    };
    String::from_utf8(wire::encode(&task)).unwrap()
}

fn send(scene: &Scene, bodies: &[&str]) {
    let entries: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(id, body)| json!({"Id": id.to_string(), "MessageBody": body}))
        .collect();
    let input = json!({"QueueUrl": scene.stack.output("ScrapeQueueUrl"), "Entries": entries});
    let sent = scene.stack.cloud.sqs("SendMessageBatch", &input);
    assert_eq!(sent["Successful"].as_array().map(Vec::len), Some(bodies.len()), "{sent}");
}

/// Waits until no scrape waits that is due, nor is being handled.
fn drained(scene: &Scene) {
    std::thread::sleep(Duration::from_secs(2));
    eventually("the scrape queue to be empty", Duration::from_secs(150), || {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let input = json!({"QueueUrl": scene.stack.output("ScrapeQueueUrl"), "AttributeNames": names});
        let attributes = scene.stack.cloud.sqs("GetQueueAttributes", &input)["Attributes"].clone();
        if names.iter().all(|name| attributes[name] == "0") { Ok(()) } else { Err(attributes.to_string()) }
    });
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(|c| ALPHABET.iter().position(|digit| *digit == c)) {
        bits = bits << 6 | u32::try_from(digit).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}
