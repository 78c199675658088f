//! The faults of a simulated day: those of a swarm, frozen sandboxes, and a list of all that were injected, so that a
//! failure can be replayed with fewer of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use platform_sim::{Fate, FaultPlan, Port, Random, RandomFaults, Situation};

use crate::lock;

/// Names an effect so that its name stays when other faults are left out: its actor, and its number among the actor's.
pub type FateKey = (String, u64);

/// What faults were injected.
#[derive(Debug, Default)]
pub struct Injected {
    /// All, in order.
    pub fates: Vec<(FateKey, Fate)>,
    /// Invocations that hang in a frozen sandbox, so that nobody ends them.
    pub frozen: BTreeSet<String>,
}

/// The plan of a day.
#[derive(Debug)]
pub struct Chaos {
    swarm: RandomFaults,
    /// Probability that a sandbox freezes at an effect.
    freeze: f64,
    freeze_max: Duration,
    keep: Option<BTreeSet<FateKey>>,
    injected: Arc<Mutex<Injected>>,
}

impl Chaos {
    /// The faults of a swarm. With `keep`, only those; the others' draws are made and left out.
    #[must_use]
    pub fn new(
        swarm: RandomFaults,
        freeze: f64,
        keep: Option<BTreeSet<FateKey>>,
        injected: Arc<Mutex<Injected>>,
    ) -> Self {
        Self { swarm, freeze, freeze_max: Duration::from_secs(6 * 3_600), keep, injected }
    }
}

/// Auditors and operators meet no faults.
fn is_exempt(actor: &str) -> bool {
    actor == "main" || actor.starts_with("audit")
}

impl FaultPlan for Chaos {
    fn fate(&mut self, situation: &Situation<'_>, random: &mut Random) -> Fate {
        let mut fate = self.swarm.fate(situation, random);
        let (freezes, frozen_for) =
            (random.chance(self.freeze), random.duration(Duration::from_secs(300), self.freeze_max));
        // A cold start that cannot read a file finds no targets, as Prometheus would: that is not what is tested here.
        if is_exempt(situation.actor) || situation.operation.port() == Port::Files {
            return Fate::Ok;
        }
        let is_service = situation.actor.starts_with("esm");
        if is_service && matches!(fate, Fate::CrashBefore | Fate::CrashAfter | Fate::Slow(_)) {
            // The services' own machines are theirs to restart.
            fate = Fate::Refuse;
        }
        let freeze = freezes && fate == Fate::Ok && !is_service;
        if freeze {
            fate = Fate::Slow(frozen_for);
        }
        if fate == Fate::Ok {
            return fate;
        }
        let key = (situation.actor.to_owned(), situation.nth);
        if self.keep.as_ref().is_some_and(|keep| !keep.contains(&key)) {
            return Fate::Ok;
        }
        let mut injected = lock(&self.injected);
        if freeze {
            injected.frozen.insert(key.0.clone());
        }
        injected.fates.push((key, fate));
        fate
    }

    fn duplicate(&mut self, random: &mut Random) -> bool {
        self.swarm.duplicate(random)
    }
}

/// How many faults of each kind there were.
#[must_use]
pub fn by_kind(fates: &[(FateKey, Fate)]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for (_, fate) in fates {
        *counts.entry(fate.name()).or_default() += 1;
    }
    counts
}
