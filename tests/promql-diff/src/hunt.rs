//! The hunt: draws cases from seeds, asks both engines, and reports what differs.

use std::fmt;
use std::path::Path;

use platform_sim::Random;
use prometheus_engine::{Answer, Engine, Options, Request};
use promql::Never;

use crate::compare::difference;
use crate::data::{self, Kinds};
use crate::grammar::Grammar;
use crate::ours::Store;
use crate::rounding;
use crate::shrink::{Case, shrink};

/// Queries asked of the same samples.
pub const QUERIES_PER_SEED: u64 = 100;

/// How often Prometheus is asked again before its answer counts.
const ANSWERS: usize = 8;

/// A query that the engines answer differently.
#[derive(Debug)]
pub struct Found {
    /// The seed of its samples and queries.
    pub seed: u64,
    /// The query as drawn.
    pub drawn: String,
    /// The smallest case found that differs.
    pub case: Case,
    /// How.
    pub difference: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = &self.case.request;
        writeln!(f, "seed {}: {}", self.seed, self.drawn)?;
        writeln!(f, "  smallest: {}", self.case.query)?;
        write!(f, "  at {}..{} step {}", request.start, request.end, request.step)?;
        writeln!(f, ", delayed name removal {}", request.options.delayed_name_removal)?;
        for series in &self.case.series {
            write!(f, "  {:?}", series.labels)?;
            for (at, time) in series.t.iter().enumerate() {
                match series.h.get(at) {
                    Some(Some(histogram)) => write!(f, " {time}:{histogram:?}")?,
                    _ => write!(f, " {time}:{:?}", series.f.get(at))?,
                }
            }
            if !series.st.is_empty() {
                write!(f, " start timestamps {:?}", series.st)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "  {}", self.difference)
    }
}

/// What a hunt gave.
#[derive(Debug, Default)]
pub struct Hunted {
    /// Queries asked.
    pub asked: u64,
    /// Of those, how many gave series, an error, an annotation.
    pub with_series: u64,
    /// Queries that failed, in both engines alike.
    pub failed: u64,
    /// Queries with warnings or remarks.
    pub annotated: u64,
    /// Queries that differ only because functions such as `sin` round differently: with exact ones in their place both
    /// engines agree.
    pub rounding: u64,
    /// Queries to which Prometheus itself gives one answer now and another then, ours among them.
    pub undefined: u64,
    /// What differs.
    pub found: Vec<Found>,
}

/// A hunter with both engines at hand.
#[derive(Debug)]
pub struct Hunter {
    theirs: Engine,
    kinds: Kinds,
}

impl Hunter {
    /// Starts Prometheus's engine.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn new(binary: &Path, kinds: Kinds) -> Result<Self, String> {
        Ok(Self { theirs: Engine::start(binary, &["answer"])?, kinds })
    }

    /// Asks the queries of `seed`, each after telling `before`; at most `most` differences are shrunk and reported.
    ///
    /// # Errors
    /// Where Prometheus's engine fails.
    pub fn hunt(
        &mut self,
        seed: u64,
        queries: u64,
        most: usize,
        hunted: &mut Hunted,
        before: &dyn Fn(u64, &Request),
    ) -> Result<(), String> {
        let mut random = Random::new(seed);
        let series = data::series(&mut random, self.kinds);
        let ours = Store::new(&series);
        let load = Request { load: Some(series.clone()), ..Request::default() };
        let _: Answer = self.theirs.ask(&load)?;
        for _ in 0..queries {
            let (query, request) = self.draw(&mut random);
            before(seed, &request);
            let (a, b) = (ours.ask(&request, &Never), self.theirs.ask::<Answer>(&request)?);
            hunted.asked += 1;
            hunted.with_series += u64::from(!b.series.is_empty());
            hunted.failed += u64::from(!b.error.is_empty());
            hunted.annotated += u64::from(!b.warnings.is_empty() || !b.infos.is_empty());
            if difference(&request.query, &a, &b).is_some() {
                let exact = Request { query: rounding::exact(&request.query), ..request.clone() };
                if exact.query != request.query
                    && difference(&exact.query, &ours.ask(&exact, &Never), &self.theirs.ask(&exact)?)
                        .is_none()
                {
                    hunted.rounding += 1;
                    continue;
                }
                if self.once_agrees(&request, &a)? {
                    hunted.undefined += 1;
                    continue;
                }
                let drawn = request.query.clone();
                let case = Case { series: series.clone(), query, request };
                let case = if hunted.found.len() < most {
                    shrink(case, |case| Ok(self.differs(case)?.is_some()))?
                } else {
                    case
                };
                let difference = self.differs(&case)?.unwrap_or_default();
                hunted.found.push(Found { seed, drawn, case, difference });
                let _: Answer = self.theirs.ask(&load)?;
            }
        }
        Ok(())
    }

    fn draw(&self, random: &mut Random) -> (crate::node::Node, Request) {
        let instant = random.chance(0.4);
        let query = Grammar::new(random).query(instant);
        let start = if random.chance(0.5) {
            random.below(45) as i64 * 60_000
        } else {
            random.below(2_800_000) as i64
        };
        let step = [15_000, 30_000, 60_000, 60_000, 120_000, 7_000][random.below(6) as usize];
        let steps = random.below(15) as i64;
        let options = Options {
            delayed_name_removal: random.chance(0.5),
            start_timestamps: self.kinds.start_timestamps && random.chance(0.7),
            max_samples: 50_000_000,
            per_step_stats: false,
        };
        let (end, step) = if instant { (start, 0) } else { (start + steps * step, step) };
        let request = Request { load: None, query: query.to_string(), start, end, step, options };
        (query, request)
    }

    /// Whether Prometheus answers as we do when it is asked again: the order of its maps is random.
    fn once_agrees(&mut self, request: &Request, ours: &Answer) -> Result<bool, String> {
        for _ in 0..ANSWERS {
            if difference(&request.query, ours, &self.theirs.ask(request)?).is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn differs(&mut self, case: &Case) -> Result<Option<String>, String> {
        let load = Request { load: Some(case.series.clone()), ..Request::default() };
        let _: Answer = self.theirs.ask(&load)?;
        let (ours, theirs) =
            (Store::new(&case.series).ask(&case.request, &Never), self.theirs.ask(&case.request)?);
        Ok(difference(&case.request.query, &ours, &theirs))
    }
}
