//! The registers over a simulated platform: what is replaced goes, what is in force stays, what is lost comes back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::time::Duration;

use control::{ConfigCache, current_targets, plan_window, publish_config, publish_targets, window_plan};
use platform::Platform;
use platform_sim::{Fate, ScriptedFaults, World};
use wire::{ConfigBundle, RuleGroupState, RuleState, ScrapePool, TargetSnapshot};

fn bundle(text: &str) -> ConfigBundle {
    ConfigBundle { v: 1, path: "p.yml".to_owned(), prometheus_yml: text.to_owned(), rule_files: Vec::new() }
}

fn snapshot(pool: &str) -> TargetSnapshot {
    let pool =
        ScrapePool { name: pool.to_owned(), active: Vec::new(), dropped: Vec::new(), errors: Vec::new() };
    TargetSnapshot { v: 1, config: "c".to_owned(), pools: vec![pool] }
}

fn publish(world: &World, text: &str) -> String {
    let (platform, bundle) = (world.platform(), bundle(text));
    world.run(async move { publish_config(&platform, &bundle).await }).done().unwrap()
}

fn collect(world: &World) -> u64 {
    let platform = world.platform();
    world.run(async move { control::collect(&platform).await }).done().unwrap()
}

async fn plan(platform: &Platform, from: i64, pool: &str) -> TargetSnapshot {
    let base = current_targets(platform).await.unwrap();
    let plan = plan_window(platform, from, from + 1, &base, snapshot(pool)).await.unwrap();
    publish_targets(platform, &base, &plan).await.unwrap();
    plan.snapshot
}

#[test]
fn the_same_configuration_keeps_its_name_and_one_that_comes_back_gets_another() {
    let world = World::new(1);
    let first = publish(&world, "{}");
    assert_eq!(publish(&world, "{}"), first);
    let other = publish(&world, "global: {}");
    let again = publish(&world, "{}");
    assert!(again != first && other != first);
    assert_eq!(world.object_keys().len(), 3);
}

#[test]
fn a_configuration_goes_an_hour_after_it_was_replaced_and_never_while_in_force() {
    let world = World::new(1);
    let first = publish(&world, "{}");
    world.run_for(Duration::from_secs(100 * 3_600));
    assert_eq!(collect(&world), 0);
    let second = publish(&world, "global: {}");
    world.run_for(Duration::from_secs(3_000));
    assert_eq!(collect(&world), 0);
    assert_eq!(world.object_keys(), [first, second.clone()]);
    world.run_for(Duration::from_secs(700));
    assert_eq!(collect(&world), 1);
    assert_eq!(world.object_keys(), [second]);
    assert_eq!(collect(&world), 0);
    assert_eq!(world.counters().names_reused, 0);
}

#[test]
fn whoever_is_slow_to_publish_loses_to_the_collector_and_stores_anew() {
    let world = World::new(1);
    publish(&world, "{}");
    let (platform, slow) = (world.platform(), bundle("global: {}"));
    // Its third effect, after the register and the object, is the compare-and-set.
    let hour = Fate::Slow(Duration::from_secs(3 * 3_600));
    world.set_faults(ScriptedFaults::new().at(2, hour).of_actor("slow"));
    let slow = world.spawn("slow", async move { publish_config(&platform, &slow).await });
    world.run_for(Duration::from_secs(1));
    let orphan = world.object_keys().pop().unwrap();
    world.run_for(Duration::from_secs(1));
    let (platform, next) = (world.platform(), bundle("scrape_configs: []"));
    world.spawn("next", async move { publish_config(&platform, &next).await });
    world.run_for(Duration::from_secs(2 * 3_600));
    assert_eq!(collect(&world), 2);
    assert!(!world.object_keys().contains(&orphan));
    world.run_for(Duration::from_secs(4 * 3_600));
    let published = slow.take().unwrap().unwrap().unwrap();
    assert_ne!(published, orphan);
    let platform = world.platform();
    let cache = ConfigCache::new(platform, |_| None);
    let in_force = world.run(async move { cache.current().await }).done().unwrap();
    assert_eq!(in_force.key, published);
    assert_eq!(world.counters().names_reused, 0);
}

#[test]
fn a_window_keeps_the_targets_that_it_was_first_planned_by() {
    let world = World::new(1);
    let platform = world.platform();
    let (first, second, next) = world
        .run(async move {
            (plan(&platform, 5, "a").await, plan(&platform, 5, "b").await, plan(&platform, 6, "b").await)
        })
        .done();
    assert_eq!((first.pools[0].name.as_str(), second), ("a", first.clone()));
    assert_eq!(next.pools[0].name, "b");
    let platform = world.platform();
    let planned = world.run(async move { window_plan(&platform, 5, 6).await }).done().unwrap().unwrap();
    assert_eq!(planned.snapshot, first);
}

#[test]
fn a_snapshot_that_was_lost_is_found_anew() {
    let world = World::new(1);
    let platform = world.platform();
    let found = world
        .run(async move {
            plan(&platform, 5, "a").await;
            let key = current_targets(&platform).await.unwrap().key.unwrap();
            platform.objects.delete(&key).await.unwrap();
            assert_eq!(current_targets(&platform).await.unwrap().key, None);
            plan(&platform, 6, "a").await;
            current_targets(&platform).await.unwrap().snapshot.unwrap()
        })
        .done();
    assert_eq!(found.pools[0].name, "a");
    assert_eq!(world.counters().names_reused, 0);
}

#[test]
fn a_state_too_large_for_a_row_is_stored_beside_it_and_collected_once_replaced() {
    let world = World::new(1);
    let state = |rules: usize| RuleGroupState {
        v: 1,
        last_tick: rules as i64,
        rules: vec![RuleState { rule: "0".repeat(100), ..RuleState::default() }; rules],
        ..RuleGroupState::default()
    };
    for (rules, objects) in [(1, 0), (10_000, 1), (10_001, 2), (2, 2)] {
        let (platform, next) = (world.platform(), state(rules));
        world
            .run(async move {
                let base = control::group_state(&platform, "f", "g").await.unwrap();
                assert!(control::store_group_state(&platform, "f", "g", &base, &next).await.unwrap());
                assert_eq!(control::group_state(&platform, "f", "g").await.unwrap().state, next);
            })
            .done();
        assert_eq!(world.object_keys().len(), objects);
    }
    let platform = world.platform();
    let large = state(10_002);
    world
        .run(async move {
            let base = control::group_state(&platform, "f", "g").await.unwrap();
            control::store_group_state(&platform, "f", "g", &base, &large).await.unwrap();
        })
        .done();
    assert_eq!(collect(&world), 0);
    world.run_for(Duration::from_secs(30 * 60));
    assert_eq!(collect(&world), 2);
    let platform = world.platform();
    let kept = world.run(async move { control::group_state(&platform, "f", "g").await }).done().unwrap();
    assert_eq!(kept.state, state(10_002));
}
