//! The simulator, with several seeds: each is another order of events.

use std::time::Duration;

use conformance::QueueTiming;
use platform_sim::{World, WorldOptions};

const SEEDS: std::ops::Range<u64> = 0..20;

#[test]
fn objects() {
    for seed in SEEDS {
        let world = World::new(seed);
        let objects = world.platform().objects;
        world
            .run(async {
                conformance::objects(&*objects, "a").await;
                conformance::objects_recreated_alike(&*objects, "a").await;
                conformance::objects_do_not_nest(&*objects, "a").await;
            })
            .done();
    }
}

#[test]
fn rows() {
    for seed in SEEDS {
        let world = World::new(seed);
        let rows = world.platform().rows;
        world.run(conformance::rows(&*rows, "a")).done();
    }
}

#[test]
fn queues() {
    for seed in SEEDS {
        let world = World::with(WorldOptions { receives_max: 3, ..WorldOptions::new(seed) });
        let platform = world.platform();
        let timing = QueueTiming { unit: Duration::from_secs(1), receives_max: 3 };
        for queue in [&platform.scrape_queue, &platform.rule_queue] {
            world.run(conformance::queue(&**queue, &*platform.clock, timing)).done();
        }
        assert_eq!(world.counters().dead_letters, 2);
    }
}

#[test]
fn clock_and_entropy() {
    for seed in SEEDS {
        let world = World::new(seed);
        let platform = world.platform();
        world
            .run(async {
                conformance::clock(&*platform.clock).await;
                conformance::entropy(&*platform.entropy, &*platform.clock);
            })
            .done();
    }
}

#[test]
fn files() {
    let world = World::new(1);
    for (name, body) in conformance::FILES {
        world.write_file(format!("/etc/foxfire/{name}"), body);
    }
    let files = world.platform().files;
    world.run(conformance::files(&*files, "/etc/foxfire")).done();
}
