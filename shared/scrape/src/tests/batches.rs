//! Many targets: instants, timeouts, and that none costs another anything.

use std::time::Duration;

use platform::{Deadline, FetchError};
use wire::{ScrapeTarget, ScrapeTask};

use super::world::*;
use crate::due_at;

const FAR: Deadline = Deadline(START + 600_000);

fn numbered(number: u64, offset_ms: u64) -> ScrapeTarget {
    ScrapeTarget {
        source: format!("{number:016x}"),
        url: format!("http://host:{number}/metrics"),
        offset_ms,
        ..target()
    }
}

fn task(targets: Vec<ScrapeTarget>) -> ScrapeTask {
    ScrapeTask { config: "config/1".to_owned(), tick: START, shard: 0, targets, gone: Vec::new() }
}

#[test]
fn every_target_is_scraped_at_its_own_instant() {
    let world = World::new();
    let targets: Vec<ScrapeTarget> =
        [(1, 9_000), (2, 0), (3, 14_999)].map(|(n, at)| numbered(n, at)).to_vec();
    for target in &targets {
        world.reply(&target.url, Reply::After(Duration::from_millis(100), Ok(text("a 1\n"))));
    }
    let scrapes = world.run(scraper().scrape_batch(&task(targets), &[pool()], world.ports(), FAR));
    let instants: Vec<(u64, i64)> = scrapes.iter().map(|s| (s.source.0, s.timestamp - START)).collect();
    assert_eq!(instants, [(1, 9_000), (2, 0), (3, 14_999)]);
    assert!(scrapes.iter().all(|scrape| scrape.outcome.error.is_none() && scrape.samples.len() == 6));
}

#[test]
fn a_target_that_hangs_or_fails_costs_only_its_own_samples() {
    let world = World::new();
    let targets: Vec<ScrapeTarget> = (1..=5).map(|number| numbered(number, 0)).collect();
    let quick = Duration::from_millis(5);
    world.reply(&targets[0].url, Reply::Hang);
    world.reply(&targets[1].url, Reply::After(quick, Err(FetchError::Connect("refused".to_owned()))));
    world.reply(&targets[2].url, Reply::After(quick, Ok(text("<garbage>"))));
    world.reply(&targets[3].url, Reply::After(Duration::from_secs(9), Ok(text("slow 1\n"))));
    world.reply(&targets[4].url, Reply::After(quick, Ok(text("a 1\n"))));
    let scrapes = world.run(scraper().scrape_batch(&task(targets), &[pool()], world.ports(), FAR));
    let ups: Vec<f64> = scrapes.iter().map(|scrape| value(scrape, "up").unwrap()).collect();
    assert_eq!(ups, [0.0, 0.0, 0.0, 1.0, 1.0]);
    assert!(scrapes.iter().all(|scrape| scrape.timestamp == START));
    let durations: Vec<u128> = scrapes.iter().map(|scrape| scrape.outcome.duration.as_millis()).collect();
    assert_eq!(durations, [10_000, 5, 5, 9_000, 5]);
    assert_eq!(samples(&scrapes[4]), [r#"{__name__="a"} 1"#]);
}

#[test]
fn more_targets_than_run_at_once_are_all_scraped() {
    let world = World::new();
    let targets: Vec<ScrapeTarget> = (1..=1_300).map(|number| numbered(number, 0)).collect();
    for target in &targets {
        world.reply(&target.url, Reply::After(Duration::from_secs(1), Ok(text("a 1\n"))));
    }
    let scrapes = world.run(scraper().scrape_batch(&task(targets), &[pool()], world.ports(), FAR));
    assert_eq!(scrapes.iter().filter(|scrape| value(scrape, "a") == Some(1.0)).count(), 1_300);
}

#[test]
fn the_deadline_of_the_invocation_ends_what_still_runs() {
    let world = World::new();
    let targets = vec![numbered(1, 0), numbered(2, 5_000), numbered(3, 0)];
    world.reply(&targets[0].url, Reply::Hang);
    world.reply(&targets[1].url, Reply::After(Duration::from_millis(1), Ok(text("a 1\n"))));
    world.reply(&targets[2].url, Reply::After(Duration::from_millis(1), Ok(text("a 1\n"))));
    let deadline = Deadline(START + 3_000);
    let scrapes = world.run(scraper().scrape_batch(&task(targets), &[pool()], world.ports(), deadline));
    let ups: Vec<f64> = scrapes.iter().map(|scrape| value(scrape, "up").unwrap()).collect();
    assert_eq!(ups, [0.0, 0.0, 1.0]);
    assert_eq!(error(&scrapes[0]), "Get \"http://host:1/metrics\": context deadline exceeded");
    assert_eq!(platform::Clock::now_ms(&world), deadline.0);
}

#[test]
fn sources_that_are_gone_end_at_the_tick() {
    let world = World::new();
    let targets = vec![numbered(1, 0)];
    world.reply(&targets[0].url, Reply::After(Duration::ZERO, Ok(text("a 1\n"))));
    let gone = ["00000000000000ff", "0000000000000001", "nonsense"].map(str::to_owned).to_vec();
    let task = ScrapeTask { gone, ..task(targets) };
    let scrapes = world.run(scraper().scrape_batch(&task, &[pool()], world.ports(), FAR));
    assert_eq!(scrapes.len(), 2);
    assert_eq!((scrapes[1].source.0, scrapes[1].timestamp, scrapes[1].samples.len()), (0xff, START, 0));
}

#[test]
fn a_target_of_an_unknown_pool_is_down() {
    let world = World::new();
    let targets = vec![numbered(1, 0)];
    let scrapes = world.run(scraper().scrape_batch(&task(targets), &[], world.ports(), FAR));
    assert_eq!(
        (error(&scrapes[0]), scrapes[0].samples.len()),
        ("no scrape config with job name \"node\"", 5)
    );
}

#[test]
fn a_target_is_due_at_its_offset_from_the_tick_on() {
    let due = |tick: i64, interval_ms: u64, offset_ms: u64| {
        due_at(&ScrapeTarget { interval_ms, offset_ms, ..target() }, tick)
    };
    assert_eq!(due(30_000, 15_000, 0), 30_000);
    assert_eq!(due(30_000, 15_000, 14_000), 44_000);
    assert_eq!(due(60_000, 3_600_000, 90_000), 90_000);
    assert_eq!(due(61_000, 15_000, 500), 75_500);
    assert_eq!(due(10, 0, 7), 10);
    assert_eq!(due(-10, 100, 20), 20);
}
