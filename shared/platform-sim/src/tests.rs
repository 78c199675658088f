//! The world keeps its promises: the same seed, the same history; every fate as described; a crash stops an actor dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use platform::{
    ByteRange, Cas, FetchError, FileError, HttpMethod, HttpRequest, Platform, PlatformError, Put, RowKey,
    unique_id,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Workers that take messages and write what they say, while faults rage; then the faults stop.
fn day(seed: u64) -> (u64, Counters, Vec<String>) {
    let world = World::new(seed);
    let start_ms = world.now_ms();
    world.set_faults(RandomFaults {
        refuse: 0.05,
        lose_ack: 0.05,
        late: 0.02,
        late_max: HOUR,
        crash_before: 0.01,
        crash_after: 0.01,
        duplicate: 0.05,
        ..RandomFaults::swarm(seed, start_ms, start_ms + 86_400_000)
    });
    let platform = world.platform();
    for worker in 0..3 {
        let (world_handle, platform) = (Handle::clone(&world), platform.clone());
        world.spawn("lambda", async move {
            loop {
                let platform = platform.clone();
                // Crashes end the invocation, and Lambda starts another one.
                let _ = world_handle.invoke(&format!("worker-{worker}"), work(platform)).await;
                world_handle.platform().clock.sleep(SECOND).await;
            }
        });
    }
    let scheduler = Handle::clone(&world);
    world.spawn("scheduler", async move {
        for tick in 0..200 {
            // A tick is sent until it is known to be, and so sometimes twice.
            while !matches!(scheduler.invoke("tick", send(scheduler.platform(), tick)).await, Ok(Ok(()))) {}
            scheduler.platform().clock.sleep(5 * SECOND).await;
        }
    });
    world.run_for(HOUR);
    world.heal();
    world.run_for(5 * HOUR);
    (world.trace_hash(), world.counters(), world.object_keys())
}

async fn send(platform: Platform, tick: u32) -> Result<(), PlatformError> {
    platform.scrape_queue.send(body(&tick.to_string()), Duration::ZERO).await
}

async fn work(platform: Platform) -> Result<(), PlatformError> {
    for message in platform.scrape_queue.receive(10, 30 * SECOND, 20 * SECOND).await? {
        let key = format!("wal/{}", String::from_utf8_lossy(&message.body));
        platform.objects.create(&key, message.body).await?;
        platform.scrape_queue.delete(&message.receipt).await?;
    }
    Ok(())
}

#[test]
fn a_seed_is_a_history() {
    for seed in 0..4 {
        let (hash, counters, keys) = day(seed);
        assert_eq!(day(seed), (hash, counters.clone(), keys.clone()), "seed {seed}");
        assert_ne!(day(seed + 100).0, hash);
        for fault in ["refuse", "lose_ack", "late", "crash_before", "crash_after"] {
            assert!(counters.faults.get(fault).is_some_and(|count| *count > 0), "{fault}: {counters:?}");
        }
        assert!(counters.crashes > 0 && counters.late_landed > 0 && counters.duplicates > 0, "{counters:?}");
        // The queue gives up a message after five deliveries, so a few may be dead; the rest is written.
        assert!(keys.len() as u64 + counters.dead_letters >= 200, "{} of 200, {counters:?}", keys.len());
    }
}

/// One write under one fate: what the caller hears, and whether the object is there then and in the end.
fn fate_of_a_write(fate: Fate) -> (Ended<Result<Put, PlatformError>>, bool, bool) {
    let world = World::new(1);
    world.set_faults(ScriptedFaults::new().at(0, fate));
    let objects = world.platform().objects;
    let ended = world.run(objects.create("a", body("1")));
    let then = !world.object_keys().is_empty();
    world.run_until_idle();
    (ended, then, !world.object_keys().is_empty())
}

#[test]
fn every_fate_is_as_described() {
    let (ended, then, finally) = fate_of_a_write(Fate::Ok);
    assert!(matches!(ended, Ended::Done(Ok(Put::Created(_)))) && then && finally);
    let (ended, then, finally) = fate_of_a_write(Fate::Slow(HOUR));
    assert!(matches!(ended, Ended::Done(Ok(Put::Created(_)))) && then && finally);
    let (ended, then, finally) = fate_of_a_write(Fate::Refuse);
    assert!(matches!(ended, Ended::Done(Err(PlatformError::Throttled { .. }))) && !then && !finally);
    let (ended, then, finally) = fate_of_a_write(Fate::LoseAck);
    assert!(matches!(ended, Ended::Done(Err(PlatformError::Ambiguous { .. }))) && then && finally);
    let (ended, then, finally) = fate_of_a_write(Fate::Late(HOUR));
    assert!(matches!(ended, Ended::Done(Err(PlatformError::Ambiguous { .. }))) && !then && finally);
    let (ended, then, finally) = fate_of_a_write(Fate::CrashBefore);
    assert!(matches!(ended, Ended::Crashed) && !then && !finally);
    let (ended, then, finally) = fate_of_a_write(Fate::CrashAfter);
    assert!(matches!(ended, Ended::Crashed) && then && finally);
}

#[test]
fn a_failed_read_is_never_ambiguous() {
    for fate in [Fate::Refuse, Fate::LoseAck, Fate::Late(HOUR)] {
        let world = World::new(1);
        world.set_faults(ScriptedFaults::new().at(0, fate));
        let objects = world.platform().objects;
        let read = world.run(objects.read("a", None, ByteRange::All)).done();
        assert!(matches!(read, Err(PlatformError::Throttled { .. })), "{fate:?}: {read:?}");
    }
}

#[test]
fn a_crash_stops_everything_that_the_actor_had_begun() {
    for n in 0..8 {
        let world = World::new(n);
        world.set_faults(ScriptedFaults::new().at(n, Fate::CrashBefore));
        let objects = world.platform().objects;
        let ended = world.run(async {
            let keys: Vec<String> = (0..8).map(|key| key.to_string()).collect();
            join_all(keys.iter().map(|key| objects.create(key, Bytes::new()))).await;
        });
        assert_eq!(ended, Ended::Crashed);
        let at_crash = world.object_keys();
        world.run_until_idle();
        assert_eq!(world.object_keys(), at_crash, "what was under way never lands");
        assert_eq!(world.counters().crashes, 1);
    }
}

/// Increments a register, reading again after every doubt.
async fn increment(platform: Platform, attempt: String) {
    let key = RowKey::new("counter", "x");
    let entry = format!("{attempt};");
    loop {
        let Ok(row) = platform.rows.get(&key).await else { continue };
        let (version, mut value) = row.map_or((0, String::new()), |row| {
            (row.version, String::from_utf8_lossy(&row.value).into_owned())
        });
        if value.contains(&entry) {
            return;
        }
        value.push_str(&entry);
        if matches!(platform.rows.compare_and_set(&key, version, value.into()).await, Ok(Cas::Done(_))) {
            return;
        }
    }
}

#[test]
fn every_effect_can_be_made_to_meet_every_fate() {
    let run = |faults: ScriptedFaults| {
        let world = World::new(5);
        world.set_faults(faults.of_actor("increment"));
        let crashed =
            world.run(world.invoke("increment", increment(world.platform(), "one".to_owned()))).done();
        if crashed.is_err() {
            world
                .run(world.invoke("increment", increment(world.platform(), "one".to_owned())))
                .done()
                .unwrap();
        }
        world.run_until_idle();
        let value = world.rows().first().map(|row| row.value.clone());
        assert_eq!(value.as_deref(), Some(&b"one;"[..]), "{:?}", world.records());
        world.counters()
    };
    let effects = run(ScriptedFaults::new()).effects;
    assert_eq!(effects, 2);
    for n in 0..effects {
        for fate in Fate::FAULTS {
            let counters = run(ScriptedFaults::new().at(n, fate));
            assert_eq!(counters.faults.get(fate.name()), Some(&1));
        }
    }
}

#[test]
fn actors_can_be_killed_and_frozen() {
    let world = World::new(1);
    let beats = Arc::new(AtomicU32::new(0));
    let (counted, clock) = (Arc::clone(&beats), world.platform().clock);
    let heart = world.spawn("heart", async move {
        loop {
            clock.sleep(SECOND).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let beats_after = |duration: Duration| {
        world.run_for(duration);
        beats.load(Ordering::Relaxed)
    };
    assert_eq!(beats_after(10 * SECOND), 10);
    world.freeze(heart.id());
    assert_eq!(beats_after(HOUR), 10);
    world.thaw(heart.id());
    assert_eq!(beats_after(3 * SECOND), 14, "one more was due during the freeze");
    world.kill(heart.id());
    assert_eq!(beats_after(HOUR), 14);
    assert_eq!(heart.take(), Some(Err(Crashed)));
    assert_eq!(world.counters().crashes, 1);
}

#[test]
fn a_run_that_waits_for_ever_is_stalled() {
    let world = World::new(1);
    assert_eq!(world.run(std::future::pending::<()>()), Ended::Stalled);
    let busy = World::with(WorldOptions { polls_max: 1_000, ..WorldOptions::new(1) });
    let clock = busy.platform().clock;
    let ended = busy.run(async {
        loop {
            clock.sleep(SECOND).await;
        }
    });
    assert!(matches!(ended, Ended::<()>::Stalled));
}

#[test]
fn clocks_can_be_wrong_and_identifiers_still_differ() {
    let world = World::new(1);
    let (right, wrong) = (world.platform(), world.platform_skewed(-2_000));
    assert_eq!(right.clock.now_ms() - wrong.clock.now_ms(), 2_000);
    let ids: Vec<String> =
        world.run(async { (0..3).map(|_| unique_id(&*right.clock, &*right.entropy)).collect() }).done();
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    let again = World::new(1);
    let platform = again.platform();
    assert_eq!(again.run(async { unique_id(&*platform.clock, &*platform.entropy) }).done(), ids[0]);
}

#[test]
fn expired_rows_vanish_within_days() {
    let world = World::new(1);
    let platform = world.platform();
    let keys: Vec<RowKey> = (0..20).map(|sort| RowKey::new("p", sort.to_string())).collect();
    let expires_at_s = world.now_ms() / 1_000 + 60;
    let left = |world: &World| {
        world
            .run(async { join_all(keys.iter().map(|key| platform.rows.get(key))).await })
            .done()
            .into_iter()
            .filter(|row| row.as_ref().is_ok_and(Option::is_some))
            .count()
    };
    world
        .run(async {
            for key in &keys {
                platform.rows.create(key, Bytes::new(), Some(expires_at_s)).await.unwrap();
            }
        })
        .done();
    world.run_for(30 * SECOND);
    assert_eq!(left(&world), 20);
    world.run_for(24 * HOUR);
    assert!((1..20).contains(&left(&world)), "{}", left(&world));
    world.run_for(25 * HOUR);
    assert_eq!(left(&world), 0);
}

fn get(url: &str, timeout: Duration) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Get,
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout,
        body_bytes_max: 10,
        follow_redirects: true,
        insecure_skip_verify: false,
    }
}

#[test]
fn targets_answer_by_script_within_their_limits() {
    let world = World::new(1);
    let fetcher = world.platform().fetcher;
    let fetch = |url: &str| world.run(fetcher.fetch(get(url, 10 * SECOND))).done();
    assert!(matches!(fetch("http://a/"), Err(FetchError::Connect(_))));
    let start_ms = world.now_ms();
    world.serve(move |request, now_ms| match request.url.as_str() {
        "http://slow/" => Answer::text("x").after(10 * SECOND),
        "http://big/" => Answer::text("0123456789x"),
        _ => Answer::text(format!("{}", (now_ms - start_ms) / 1_000)),
    });
    assert_eq!(fetch("http://a/").unwrap().body, "0");
    assert_eq!(fetch("http://big/"), Err(FetchError::BodyTooLarge));
    assert_eq!(fetch("http://slow/"), Err(FetchError::Timeout));
    assert_eq!(fetch("http://a/").unwrap().body, "10");
    world.set_faults(ScriptedFaults::new().at(0, Fate::LoseAck));
    assert_eq!(fetch("http://a/"), Err(FetchError::Timeout));
}

#[test]
fn files_come_and_go() {
    let world = World::new(1);
    let files = world.platform().files;
    world.write_file("sd/a.json", "[]");
    world.write_file("sd/b.yml", "[]");
    let glob = |pattern: &str| world.run(files.glob(pattern)).done();
    assert_eq!(glob("sd/*.json").unwrap(), ["sd/a.json"]);
    assert_eq!(world.run(files.read("sd/a.json", 2)).done().unwrap(), b"[]");
    let too_large = world.run(files.read("sd/a.json", 1)).done();
    assert_eq!(too_large, Err(FileError::TooLarge { path: "sd/a.json".to_owned(), bytes_max: 1 }));
    world.remove_file("sd/a.json");
    assert_eq!(glob("sd/*").unwrap(), ["sd/b.yml"]);
}

#[test]
fn a_spent_name_that_is_used_again_is_counted() {
    let world = World::new(1);
    let objects = world.platform().objects;
    world
        .run(async {
            objects.create("a", body("1")).await.unwrap();
            objects.delete("a").await.unwrap();
            objects.create("a", body("1")).await.unwrap();
        })
        .done();
    assert_eq!(world.counters().names_reused, 1);
    assert!(world.corrupt_object("a", |body| body[0] ^= 1));
    let read = world.run(objects.read("a", None, ByteRange::All)).done().unwrap();
    assert_eq!(read.body, "0");
}

#[test]
fn dead_letters_can_be_redriven() {
    let world = World::with(WorldOptions { receives_max: 1, ..WorldOptions::new(1) });
    let queue = world.scrape_queue();
    let port = world.platform().scrape_queue;
    world
        .run(async {
            port.send(body("poison"), Duration::ZERO).await.unwrap();
            assert_eq!(port.receive(1, SECOND, Duration::ZERO).await.unwrap().len(), 1);
            assert_eq!(port.receive(1, SECOND, 2 * SECOND).await.unwrap(), []);
        })
        .done();
    assert_eq!(queue.depth(), SimQueueDepth { messages: 0, dead_letters: 1 });
    assert_eq!(queue.dead_letters(), ["poison"]);
    queue.redrive();
    assert_eq!(queue.depth(), SimQueueDepth { messages: 1, dead_letters: 0 });
}
