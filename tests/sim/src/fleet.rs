//! The scraped targets: what they say differs at every attempt, and can be said again for the oracle.
//!
//! Every attempt has a number, which is in its body; the rest of the body follows from the number, the target and the
//! time. So an auditor that finds a number among the samples knows every other sample that must be there with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use model::Labels;
use platform::{FetchError, HttpMethod, HttpRequest, HttpResponse};
use platform_sim::{Answer, Random};

use crate::lock;

/// The scrape pool of all targets.
pub const POOL: &str = "fleet";
/// The header by which a scrape says which task it is part of.
pub const TASK_HEADER: &str = "X-Task";

/// Names a scrape task: its tick, ms, and its shard.
pub type TaskName = (i64, u32);

/// One attempt to scrape a target that got an answer which is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Which target.
    pub target: u32,
    /// When, ms.
    pub at_ms: i64,
    /// For which task.
    pub task: TaskName,
}

/// A sample of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposed {
    /// Its series.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Its own timestamp, ms, where it has one.
    pub timestamp: Option<i64>,
}

/// How the targets behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// One of so many attempts fails (hangs, answers 500, talks garbage); 0 for none.
    pub fails_every: u64,
    /// Series that come and go.
    pub flapping: u32,
    /// Whether some samples have timestamps of their own.
    pub timestamps: bool,
    /// Whether targets sometimes expose a hundred series more.
    pub wide: bool,
}

/// All targets of a world.
#[derive(Debug)]
pub struct Fleet {
    seed: u64,
    behaviour: Behaviour,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    served: Vec<Served>,
    fetches: u64,
    /// Requests other than scrapes: what Alertmanager was told.
    posts: Vec<String>,
}

const HOUR_MS: i64 = 3_600_000;

impl Fleet {
    /// The fleet of a seed.
    #[must_use]
    pub fn new(seed: u64, behaviour: Behaviour) -> Self {
        Self { seed, behaviour, state: Mutex::default() }
    }

    /// Another fleet that has served the same so far.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { seed: self.seed, behaviour: self.behaviour, state: Mutex::new(lock(&self.state).clone()) }
    }

    /// The address of a target.
    #[must_use]
    pub fn address(target: u32) -> String {
        format!("t{target}:9100")
    }

    /// The target with an address.
    #[must_use]
    pub fn target_of(address: &str) -> Option<u32> {
        address.strip_prefix('t')?.strip_suffix(":9100")?.parse().ok()
    }

    /// The file that discovery reads.
    #[must_use]
    pub fn file(targets: &BTreeSet<u32>) -> String {
        let quoted: Vec<String> =
            targets.iter().map(|target| format!("\"{}\"", Self::address(*target))).collect();
        format!("[{{\"targets\": [{}]}}]", quoted.join(","))
    }

    /// Answers a request at `now`, ms.
    pub fn answer(&self, request: &HttpRequest, now: i64) -> Answer {
        if request.method == HttpMethod::Post {
            lock(&self.state).posts.push(String::from_utf8_lossy(&request.body).into_owned());
            return Answer::text("");
        }
        let target = request.url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let Some(target) = target.and_then(Self::target_of) else {
            return Answer::error(FetchError::Resolve("no such host".to_owned()));
        };
        let task = request.headers.iter().find(|(name, _)| name == TASK_HEADER);
        let task = task.and_then(|(_, value)| parse_task(value)).unwrap_or_default();
        let mut state = lock(&self.state);
        state.fetches += 1;
        let mut random = Random::new(self.seed).split("answers").split(&state.fetches.to_string());
        if self.behaviour.fails_every > 0 && random.below(self.behaviour.fails_every) == 0 {
            return failure(random.below(4));
        }
        state.served.push(Served { target, at_ms: now, task });
        let attempt = state.served.len() as u64;
        let exposed = self.exposed(attempt, target, now);
        drop(state);
        Answer::text(render(&exposed)).after(Duration::from_millis(random.below(300)))
    }

    /// What attempt number `attempt` was.
    #[must_use]
    pub fn served(&self, attempt: u64) -> Option<Served> {
        let at = usize::try_from(attempt.checked_sub(1)?).ok()?;
        lock(&self.state).served.get(at).copied()
    }

    /// Every sample of an attempt's body.
    #[must_use]
    pub fn body(&self, attempt: u64) -> Option<Vec<Exposed>> {
        let served = self.served(attempt)?;
        Some(self.exposed(attempt, served.target, served.at_ms))
    }

    /// How many attempts got an answer.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        lock(&self.state).served.len() as u64
    }

    /// What Alertmanager was told, oldest first.
    #[must_use]
    pub fn posts(&self) -> Vec<String> {
        lock(&self.state).posts.clone()
    }

    /// The value of a target's counter at `at_ms`: the seconds since its last reset, which are at whole hours.
    #[must_use]
    pub fn counter(&self, target: u32, at_ms: i64) -> f64 {
        let resets = |hour: i64| self.draw("reset", u64::from(target), hour.unsigned_abs()).is_multiple_of(4);
        let hour = at_ms.div_euclid(HOUR_MS);
        let reset = (0..48).map(|back| hour - back).find(|hour| resets(*hour)).unwrap_or(hour - 48);
        (at_ms - reset * HOUR_MS) as f64 / 1000.0
    }

    fn draw(&self, label: &str, a: u64, b: u64) -> u64 {
        Random::new(self.seed ^ a.rotate_left(32) ^ b).split(label).next_u64()
    }

    fn exposed(&self, attempt: u64, target: u32, at_ms: i64) -> Vec<Exposed> {
        let mut random = Random::new(self.seed).split("body").split(&attempt.to_string());
        let mut body = Vec::with_capacity(16);
        let mut add = |name: &str, extra: Option<(&str, String)>, value: f64, timestamp: Option<i64>| {
            body.push(Exposed { labels: series(name, target, extra), value, timestamp });
        };
        add("attempt", None, attempt as f64, None);
        add("ticks_total", None, self.counter(target, at_ms), None);
        add("steady", None, 1.0, None);
        let raw = f64::from_bits(random.next_u64());
        add("raw", None, if raw.is_finite() { raw } else { f64::INFINITY }, None);
        for k in 0..self.behaviour.flapping {
            if random.below(4) > 0 {
                let value = random.below(100_000) as f64 / 100.0;
                add("flapping", Some(("k", k.to_string())), value, None);
            }
        }
        // A series an hour: churn.
        add("epoch", Some(("hour", at_ms.div_euclid(HOUR_MS).to_string())), 2.5, None);
        if self.behaviour.timestamps && random.below(3) == 0 {
            let back = 1 + i64::try_from(random.below(3_000_000)).unwrap_or(0);
            add("backdated", None, attempt as f64, Some(at_ms - back));
        }
        if self.behaviour.wide && random.below(60) == 0 {
            for n in 0..100 {
                add("wide", Some(("n", n.to_string())), f64::from(n), None);
            }
        }
        body
    }
}

fn failure(kind: u64) -> Answer {
    match kind {
        0 => Answer::text("").after(Duration::from_secs(3_600)),
        1 => Answer::error(FetchError::Connect("dial tcp: connect: connection refused".to_owned())),
        2 => Answer::text("attempt 1\nnot a { line\n"),
        _ => Answer {
            after: Duration::ZERO,
            result: Ok(HttpResponse {
                status: 500,
                status_line: "500 Internal Server Error".to_owned(),
                content_type: "text/plain; version=0.0.4".to_owned(),
                body: "attempt 1\n".into(),
            }),
        },
    }
}

/// A series of a target.
#[must_use]
pub fn series(name: &str, target: u32, extra: Option<(&str, String)>) -> Labels {
    let known =
        [("__name__", name.to_owned()), ("instance", Fleet::address(target)), ("job", POOL.to_owned())];
    Labels::from_pairs(known.into_iter().chain(extra))
}

/// A task as its header names it.
#[must_use]
pub fn task_text(task: TaskName) -> String {
    format!("{}/{}", task.0, task.1)
}

fn parse_task(text: &str) -> Option<TaskName> {
    let (tick, shard) = text.split_once('/')?;
    Some((tick.parse().ok()?, shard.parse().ok()?))
}

fn render(exposed: &[Exposed]) -> String {
    let mut text = String::new();
    for sample in exposed {
        text.push_str(sample.labels.metric_name());
        let own: BTreeMap<&str, &str> = sample
            .labels
            .iter()
            .filter(|(name, _)| !matches!(*name, "__name__" | "instance" | "job"))
            .collect();
        if !own.is_empty() {
            let pairs: Vec<String> = own.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            let _ = write!(text, "{{{}}}", pairs.join(","));
        }
        let value =
            if sample.value.is_infinite() { "+Inf".to_owned() } else { format!("{:?}", sample.value) };
        let _ = write!(text, " {value}");
        if let Some(timestamp) = sample.timestamp {
            let _ = write!(text, " {timestamp}");
        }
        text.push('\n');
    }
    text
}
