//! The search: a depth-first walk over choices, replayed from the beginning, that stops where it has been.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use platform_sim::{ActorId, Driver, Fate, FaultPlan, Operation, Random, Situation, Step};

use super::scenario::{Scenario, World};
use crate::ledger::Violation;
use crate::lock;

/// The bounds of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Preemptions.
    pub preemptions: u8,
    /// Faults.
    pub faults: u8,
    /// Executions after which the search gives up.
    pub executions_max: u64,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// Runs from the beginning: each a schedule that differs from all others.
    pub executions: u64,
    /// Of them, those that ran to their end rather than into a state that had been explored.
    pub complete: u64,
    /// Different states at which somebody's turn was decided.
    pub states: u64,
    /// Different states at the end, each of which was audited.
    pub finals: u64,
    /// Calls of ports.
    pub port_calls: u64,
    /// Whether everything within the bounds was explored.
    pub exhausted: bool,
    /// The first violation, and the schedule that led to it.
    pub violation: Option<(Violation, String)>,
}

/// One decision: which of how many options.
#[derive(Clone, Copy, Debug)]
struct Decision {
    chosen: usize,
    options: usize,
}

/// What all walkers of a search share: where somebody has been, by hash of state and actor, with a bit for each pair of
/// budgets.
#[derive(Debug, Default)]
struct Known {
    states: Shards<u32>,
    finals: Shards<()>,
}

/// A map in many parts, so that walkers seldom wait for each other.
#[derive(Debug)]
struct Shards<V>(Vec<Mutex<BTreeMap<u64, V>>>);

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self((0..256).map(|_| Mutex::default()).collect())
    }
}

impl<V> Shards<V> {
    fn part(&self, hash: u64) -> &Mutex<BTreeMap<u64, V>> {
        &self.0[usize::try_from(hash & 255).unwrap_or(0)]
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|part| lock(part).len() as u64).sum()
    }
}

/// The walk of one run.
#[derive(Debug)]
struct Walk {
    bounds: Bounds,
    path: Vec<Decision>,
    depth: usize,
    preemptions: u8,
    faults: u8,
    current: Option<ActorId>,
    known: Arc<Known>,
    /// Whether options are tried from the last to the first: another walker begins at the other end.
    reversed: bool,
    story: Option<String>,
}

impl Walk {
    /// The option to take of so many.
    fn decide(&mut self, options: usize) -> usize {
        let depth = self.depth;
        self.depth += 1;
        if let Some(decision) = self.path.get(depth) {
            return self.option(decision.chosen, options);
        }
        self.path.push(Decision { chosen: 0, options });
        self.option(0, options)
    }

    fn option(&self, chosen: usize, options: usize) -> usize {
        if self.reversed { options - 1 - chosen } else { chosen }
    }

    /// Whether the future of this state has been explored, or is being: else it is now.
    fn is_known(&self, state: u64) -> bool {
        let actor =
            self.current.map_or(0, |current| xxhash_rust::xxh3::xxh3_64(format!("{current:?}").as_bytes()));
        let key = (state ^ actor).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut part = lock(self.known.states.part(key));
        let bits = part.entry(key).or_default();
        // Budgets of at most three, four bits a preemption.
        let covered =
            (self.preemptions..4).any(|p| (self.faults..4).any(|f| *bits & (1 << (4 * p + f)) != 0));
        *bits |= 1 << (4 * self.preemptions + self.faults);
        covered
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = self.story.as_mut() {
            let _ = writeln!(story, "{}", line());
        }
    }
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Walk>>);

impl Driver for Shared {
    fn choose(&mut self, steps: &[Step], state: u64) -> Option<usize> {
        let mut walk = lock(&self.0);
        let is_current = |step: &Step| matches!(step, Step::Actor(id, _) if Some(*id) == walk.current);
        let running = steps.iter().position(is_current);
        if running.is_none() {
            walk.current = None;
        }
        let at_frontier = walk.depth >= walk.path.len();
        if at_frontier && walk.is_known(state) {
            return None;
        }
        let mut order: Vec<usize> = running.into_iter().collect();
        if running.is_none() || walk.preemptions > 0 {
            order.extend((0..steps.len()).filter(|at| Some(*at) != running));
        }
        let chosen = if order.len() == 1 { 0 } else { walk.decide(order.len()) };
        let step = *order.get(chosen)?;
        if running.is_some() && Some(step) != running {
            walk.preemptions -= 1;
        }
        match steps.get(step)? {
            Step::Actor(id, name) => {
                if walk.current != Some(*id) {
                    walk.tell(|| format!("-- {name}"));
                }
                walk.current = Some(*id);
            }
            Step::Land(id) => walk.tell(|| format!("-- late effect {id} lands")),
        }
        Some(step)
    }
}

impl FaultPlan for Shared {
    fn fate(&mut self, situation: &Situation<'_>, _: &mut Random) -> Fate {
        let mut walk = lock(&self.0);
        let fates: &[Fate] = match situation.operation {
            _ if walk.faults == 0 => &[Fate::Ok],
            Operation::Fetch => &[Fate::Ok, Fate::Refuse, Fate::LoseAck, Fate::CrashBefore],
            operation if operation.changes() => {
                const LATE: Fate = Fate::Late(Duration::ZERO);
                &[Fate::Ok, Fate::Refuse, Fate::LoseAck, LATE, Fate::CrashBefore]
            }
            _ => &[Fate::Ok, Fate::Refuse, Fate::CrashBefore],
        };
        let chosen = if fates.len() == 1 { 0 } else { walk.decide(fates.len()) };
        let fate = fates.get(chosen).copied().unwrap_or_default();
        walk.faults -= u8::from(fate != Fate::Ok);
        walk.tell(|| format!("   {:?} {} {}", situation.operation, situation.subject, fate.name()));
        fate
    }
}

/// Explores a scenario within some bounds, by so many walkers at once.
#[must_use]
pub fn explore(scenario: &Scenario, bounds: Bounds, walkers: usize) -> Explored {
    let known = Arc::new(Known::default());
    let total = Mutex::new(Explored { exhausted: true, ..Explored::default() });
    std::thread::scope(|scope| {
        for walker in 0..walkers.max(1) {
            let (known, total) = (&known, &total);
            let walk = move || walk(scenario, bounds, known, walker % 2 == 1, total);
            scope.spawn(walk);
        }
    });
    let mut explored = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    explored.states = known.states.len();
    explored.finals = known.finals.len();
    explored
}

fn walk(scenario: &Scenario, bounds: Bounds, known: &Arc<Known>, reversed: bool, total: &Mutex<Explored>) {
    let mut path: Vec<Decision> = Vec::new();
    loop {
        let shared = start(bounds, path, known, reversed, None);
        let run = run(scenario, &shared, known);
        path = std::mem::take(&mut lock(&shared.0).path);
        let depth = lock(&shared.0).depth;
        path.truncate(depth);
        let mut sum = lock(total);
        sum.executions += 1;
        sum.complete += u64::from(run.complete);
        sum.port_calls += run.port_calls;
        if let Some(violation) = run.violation {
            let story = story(scenario, bounds, &path, reversed);
            sum.violation.get_or_insert((violation, story));
            sum.exhausted = false;
        }
        if sum.violation.is_some() {
            return;
        }
        if sum.executions >= bounds.executions_max {
            sum.exhausted = false;
            return;
        }
        drop(sum);
        // The odometer: the last decision that has another option takes it.
        while path.last().is_some_and(|decision| decision.chosen + 1 >= decision.options) {
            path.pop();
        }
        match path.last_mut() {
            Some(decision) => decision.chosen += 1,
            None => return,
        }
    }
}

fn start(
    bounds: Bounds,
    path: Vec<Decision>,
    known: &Arc<Known>,
    reversed: bool,
    story: Option<String>,
) -> Shared {
    Shared(Arc::new(Mutex::new(Walk {
        bounds,
        path,
        depth: 0,
        preemptions: bounds.preemptions,
        faults: bounds.faults,
        current: None,
        known: Arc::clone(known),
        reversed,
        story,
    })))
}

struct Run {
    complete: bool,
    port_calls: u64,
    violation: Option<Violation>,
}

fn run(scenario: &Scenario, shared: &Shared, known: &Arc<Known>) -> Run {
    let world = World::begin(scenario);
    world.sim.set_faults(shared.clone());
    world.sim.explore(shared.clone());
    world.spawn_all();
    world.sim.run_until_idle();
    let complete = !world.sim.is_stopped();
    let violation = match world.violation() {
        Some(violation) => Some(violation),
        None if complete => {
            let hash = world.sim.state_hash();
            let is_new = lock(known.finals.part(hash)).insert(hash, ()).is_none();
            if is_new { world.audit().err() } else { None }
        }
        None => None,
    };
    Run { complete, port_calls: world.sim.counters().effects, violation }
}

/// The schedule of a path, for people.
fn story(scenario: &Scenario, bounds: Bounds, path: &[Decision], reversed: bool) -> String {
    let nowhere = Arc::new(Known::default());
    let shared = start(bounds, path.to_vec(), &nowhere, reversed, Some(String::new()));
    run(scenario, &shared, &nowhere);
    let mut walk = lock(&shared.0);
    let bounds = walk.bounds;
    let used = (bounds.preemptions - walk.preemptions, bounds.faults - walk.faults);
    let told = walk.story.take().unwrap_or_default();
    format!("{} preemptions, {} faults\n{told}", used.0, used.1)
}
