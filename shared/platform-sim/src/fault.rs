//! What can go wrong with a call of a port, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::Random;

/// A port, as faults see it: services fail one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// The objects.
    Objects,
    /// The rows.
    Rows,
    /// Both queues.
    Queue,
    /// The targets.
    Fetcher,
    /// The files.
    Files,
}

/// A method of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `Objects::create`
    ObjectCreate,
    /// `Objects::read`
    ObjectRead,
    /// `Objects::list`
    ObjectList,
    /// `Objects::delete`
    ObjectDelete,
    /// `Rows::create`
    RowCreate,
    /// `Rows::compare_and_set`
    RowCompareAndSet,
    /// `Rows::get`
    RowGet,
    /// `Rows::query`
    RowQuery,
    /// `Rows::delete`
    RowDelete,
    /// `Queue::send`
    QueueSend,
    /// `Queue::receive`
    QueueReceive,
    /// `Queue::delete`
    QueueDelete,
    /// `Fetcher::fetch`
    Fetch,
    /// `Files::read`
    FileRead,
    /// `Files::glob`
    FileGlob,
}

impl Operation {
    /// The port that it is a method of.
    #[must_use]
    pub fn port(self) -> Port {
        match self {
            Self::ObjectCreate | Self::ObjectRead | Self::ObjectList | Self::ObjectDelete => Port::Objects,
            Self::RowCreate | Self::RowCompareAndSet | Self::RowGet | Self::RowQuery | Self::RowDelete => {
                Port::Rows
            }
            Self::QueueSend | Self::QueueReceive | Self::QueueDelete => Port::Queue,
            Self::Fetch => Port::Fetcher,
            Self::FileRead | Self::FileGlob => Port::Files,
        }
    }

    /// Whether it changes a store, so that its outcome can be unknown. A failed read can simply be tried again.
    #[must_use]
    pub fn changes(self) -> bool {
        match self {
            Self::ObjectCreate
            | Self::ObjectDelete
            | Self::RowCreate
            | Self::RowCompareAndSet
            | Self::RowDelete
            | Self::QueueSend
            | Self::QueueReceive
            | Self::QueueDelete
            | Self::Fetch => true,
            Self::ObjectRead
            | Self::ObjectList
            | Self::RowGet
            | Self::RowQuery
            | Self::FileRead
            | Self::FileGlob => false,
        }
    }
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It goes well.
    #[default]
    Ok,
    /// It is refused before it does anything.
    Refuse,
    /// It is done, and reported as failed.
    LoseAck,
    /// It is reported as failed, and done so much later.
    Late(Duration),
    /// It takes so much longer.
    Slow(Duration),
    /// Its caller crashes before it.
    CrashBefore,
    /// Its caller crashes after it was done, before hearing of it.
    CrashAfter,
}

impl Fate {
    /// Every way to fail, for tests that try each of them at every effect. The late one lands after an hour.
    pub const FAULTS: [Self; 5] = [
        Self::Refuse,
        Self::LoseAck,
        Self::Late(Duration::from_secs(3_600)),
        Self::CrashBefore,
        Self::CrashAfter,
    ];

    /// Its name in counters and traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refuse => "refuse",
            Self::LoseAck => "lose_ack",
            Self::Late(_) => "late",
            Self::Slow(_) => "slow",
            Self::CrashBefore => "crash_before",
            Self::CrashAfter => "crash_after",
        }
    }
}

/// One call of a port, before its fate is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// How many effects there were before, over all actors.
    pub index: u64,
    /// The virtual time, ms since the epoch.
    pub at_ms: i64,
    /// Who calls.
    pub actor: &'a str,
    /// How many effects the caller began before.
    pub nth: u64,
    /// What is called.
    pub operation: Operation,
    /// The key, the queue's name, the URL.
    pub subject: &'a str,
}

/// Decides the fate of every call.
pub trait FaultPlan: Send {
    /// The fate of this one. `random` is the caller's own stream for faults.
    fn fate(&mut self, situation: &Situation<'_>, random: &mut Random) -> Fate;

    /// Whether a message that is being delivered is at once delivered again.
    fn duplicate(&mut self, _random: &mut Random) -> bool {
        false
    }
}

/// All goes well.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl FaultPlan for NoFaults {
    fn fate(&mut self, _: &Situation<'_>, _: &mut Random) -> Fate {
        Fate::Ok
    }
}

/// Fates at given effects, counted from 0 when the plan is set: the n-loop of tests that fail every effect in turn.
#[derive(Clone, Debug, Default)]
pub struct ScriptedFaults {
    fates: BTreeMap<u64, Fate>,
    actor: Option<String>,
    seen: u64,
}

impl ScriptedFaults {
    /// A plan in which all goes well.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And the `n`-th effect meets this fate.
    #[must_use]
    pub fn at(mut self, n: u64, fate: Fate) -> Self {
        self.fates.insert(n, fate);
        self
    }

    /// Counts, and fails, only the effects of actors with this name.
    #[must_use]
    pub fn of_actor(mut self, name: impl Into<String>) -> Self {
        self.actor = Some(name.into());
        self
    }
}

impl FaultPlan for ScriptedFaults {
    fn fate(&mut self, situation: &Situation<'_>, _: &mut Random) -> Fate {
        if self.actor.as_ref().is_some_and(|actor| actor != situation.actor) {
            return Fate::Ok;
        }
        let fate = self.fates.get(&self.seen).copied().unwrap_or_default();
        self.seen += 1;
        fate
    }
}

/// Fates by chance. Independent faults average out to a slightly worse world, so they also come in storms, and a whole
/// service can go dark.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RandomFaults {
    /// Probability of [`Fate::Refuse`].
    pub refuse: f64,
    /// Probability of [`Fate::LoseAck`].
    pub lose_ack: f64,
    /// Probability of [`Fate::Late`].
    pub late: f64,
    /// How late at most.
    pub late_max: Duration,
    /// Probability of [`Fate::Slow`].
    pub slow: f64,
    /// How slow at most.
    pub slow_max: Duration,
    /// Probability of [`Fate::CrashBefore`].
    pub crash_before: f64,
    /// Probability of [`Fate::CrashAfter`].
    pub crash_after: f64,
    /// Probability that a delivered message is delivered again at once.
    pub duplicate: f64,
    /// Within these times, ms since the epoch (start inclusive, end exclusive), all rates are eight times as high.
    pub storms: Vec<(i64, i64)>,
    /// Within these times the port refuses everything.
    pub dark: Vec<(Port, i64, i64)>,
}

/// By how much a storm raises the rates.
const STORM_FACTOR: f64 = 8.0;

impl RandomFaults {
    /// A plan drawn from a seed for the time from `from_ms` until `until_ms`: each kind of fault is off in half of the
    /// seeds, or has a rate between 0.01 % and 10 % (crashes 1 %), spread evenly over the magnitudes. There is a storm of up to
    /// 40 minutes about every six hours, and in half of the seeds one service is dark for up to an hour.
    #[must_use]
    pub fn swarm(seed: u64, from_ms: i64, until_ms: i64) -> Self {
        const MINUTE_MS: u64 = 60_000;
        let mut random = Random::new(seed).split("swarm");
        let mut rate = |max: f64| {
            let (on, magnitude) = (random.chance(0.5), random.unit());
            if on { max.powf(magnitude) * 1e-4_f64.powf(1.0 - magnitude) } else { 0.0 }
        };
        let mut plan = Self {
            refuse: rate(0.1),
            lose_ack: rate(0.1),
            late: rate(0.1),
            late_max: Duration::from_secs(4 * 3_600),
            slow: rate(0.1),
            slow_max: Duration::from_secs(60),
            crash_before: rate(0.01),
            crash_after: rate(0.01),
            duplicate: rate(0.1),
            ..Self::default()
        };
        let span_ms = u64::try_from(until_ms.saturating_sub(from_ms)).unwrap_or(0);
        let window = |random: &mut Random, minutes_max: u64| {
            let start = from_ms.saturating_add_unsigned(random.below(span_ms));
            (start, start.saturating_add_unsigned(random.below(minutes_max * MINUTE_MS)))
        };
        let storms = span_ms / (6 * 60 * MINUTE_MS);
        plan.storms = (0..storms.min(10_000)).map(|_| window(&mut random, 40)).collect();
        if random.chance(0.5) {
            let port = [Port::Objects, Port::Rows, Port::Queue, Port::Fetcher][random.below(4) as usize & 3];
            let (start, end) = window(&mut random, 60);
            plan.dark.push((port, start, end));
        }
        plan
    }
}

impl FaultPlan for RandomFaults {
    fn fate(&mut self, situation: &Situation<'_>, random: &mut Random) -> Fate {
        // All draws are made whatever they are used for, so that one rate does not shift the draws of another.
        let draw = random.unit();
        let (late, slow) =
            (random.duration(Duration::ZERO, self.late_max), random.duration(Duration::ZERO, self.slow_max));
        let within = |start: i64, end: i64| (start..end).contains(&situation.at_ms);
        let port = situation.operation.port();
        if self.dark.iter().any(|(dark, start, end)| *dark == port && within(*start, *end)) {
            return Fate::Refuse;
        }
        let storming = self.storms.iter().any(|(start, end)| within(*start, *end));
        let factor = if storming { STORM_FACTOR } else { 1.0 };
        let mut sum = 0.0;
        for (rate, fate) in [
            (self.refuse, Fate::Refuse),
            (self.lose_ack, Fate::LoseAck),
            (self.late, Fate::Late(late)),
            (self.slow, Fate::Slow(slow)),
            (self.crash_before, Fate::CrashBefore),
            (self.crash_after, Fate::CrashAfter),
        ] {
            sum += rate * factor;
            if draw < sum {
                return fate;
            }
        }
        Fate::Ok
    }

    fn duplicate(&mut self, random: &mut Random) -> bool {
        random.chance(self.duplicate)
    }
}

impl fmt::Debug for dyn FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultPlan")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [fn(&RandomFaults) -> f64; 3] =
        [|plan| plan.refuse, |plan| plan.late, |plan| plan.crash_after];

    #[test]
    fn a_swarm_turns_each_kind_off_in_about_half_of_the_seeds() {
        let plans: Vec<RandomFaults> =
            (0..200).map(|seed| RandomFaults::swarm(seed, 0, 86_400_000)).collect();
        for rate in RATES {
            let off = plans.iter().filter(|plan| rate(plan) == 0.0).count();
            assert!((70..130).contains(&off), "{off}");
            assert!(plans.iter().all(|plan| (0.0..=0.1).contains(&rate(plan))));
        }
        assert!(plans.iter().all(|plan| plan.storms.len() == 4));
        let dark = plans.iter().filter(|plan| !plan.dark.is_empty()).count();
        assert!((70..130).contains(&dark), "{dark}");
    }

    #[test]
    fn storms_raise_rates_and_dark_services_refuse() {
        let mut plan = RandomFaults {
            refuse: 0.1,
            storms: vec![(1_000, 2_000)],
            dark: vec![(Port::Rows, 5_000, 6_000)],
            ..RandomFaults::default()
        };
        let mut refused = |at_ms: i64, operation: Operation| {
            let mut random = Random::new(3);
            let situation = Situation { index: 0, at_ms, actor: "a", nth: 0, operation, subject: "s" };
            (0..1_000).filter(|_| plan.fate(&situation, &mut random) == Fate::Refuse).count()
        };
        assert!((70..130).contains(&refused(999, Operation::RowGet)));
        assert!((750..850).contains(&refused(1_000, Operation::RowGet)));
        assert_eq!(refused(5_000, Operation::RowGet), 1_000);
        assert!((70..130).contains(&refused(5_000, Operation::ObjectRead)));
    }
}
