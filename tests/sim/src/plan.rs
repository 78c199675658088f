//! What a simulated history is made of: everything follows from this.

use std::collections::BTreeSet;
use std::time::Duration;

use platform_sim::{Random, RandomFaults};
use tsdb::Settings;

use crate::chaos::FateKey;
use crate::fleet::Behaviour;
use crate::mutant::Mutant;

const HOUR_MS: i64 = 3_600_000;

/// A history to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Decides every draw.
    pub seed: u64,
    /// How long there are faults, virtual hours.
    pub hours: u32,
    /// How many targets there are at first.
    pub targets: u32,
    /// Whether ports fail, and sandboxes crash and freeze.
    pub faults: bool,
    /// Whether schedules fire twice, late, or not at all.
    pub schedules: bool,
    /// Whether targets come and go, and the configuration changes.
    pub changes: bool,
    /// Whether clients push samples.
    pub pushes: bool,
    /// Whether clocks differ.
    pub skew: bool,
    /// Only these faults, where given.
    pub keep: Option<BTreeSet<FateKey>>,
    /// How many of the latest effects are kept to look at.
    pub records: usize,
    /// The rule that is broken, if any.
    pub mutant: Option<Mutant>,
}

impl Plan {
    /// The whole plan of a seed.
    #[must_use]
    pub fn new(seed: u64, hours: u32) -> Self {
        Self {
            seed,
            hours,
            targets: 3 + u32::try_from(random(seed, "targets").below(3)).unwrap_or(0),
            faults: true,
            schedules: true,
            changes: true,
            pushes: true,
            skew: true,
            keep: None,
            records: 50,
            mutant: None,
        }
    }

    /// The seconds between scrapes that the configuration asks for at first.
    #[must_use]
    pub fn interval_s(&self) -> u64 {
        [30, 60, 60, 60, 120, 120][pick(&mut random(self.seed, "interval"), 6)]
    }

    /// How the targets behave.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        let mut random = random(self.seed, "behaviour");
        Behaviour {
            fails_every: [0, 10, 50][pick(&mut random, 3)],
            flapping: [0, 2, 5][pick(&mut random, 3)],
            timestamps: random.chance(0.5),
            wide: random.chance(0.3),
        }
    }

    /// The store's settings: small, so that everything happens within a day.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let mut random = random(self.seed, "settings");
        let mut pick_ms = |choices: &[i64]| choices[pick(&mut random, choices.len())];
        let settings = Settings {
            window_ms: pick_ms(&[300_000, 600_000, 900_000]),
            retention_ms: Some(pick_ms(&[8, 16, 1_000, 1_000]) * HOUR_MS),
            wal_expiry_ms: pick_ms(&[12, 24, 48]) * HOUR_MS,
            orphan_age_ms: pick_ms(&[0, 0, 900_000]),
            query_grace_ms: pick_ms(&[0, 60_000, 300_000]),
            late_delay_ms: pick_ms(&[600_000, HOUR_MS]),
            // There are many sandboxes in this one process.
            segment_cache_bytes: 1 << 20,
            block_cache_bytes: 8 << 20,
            layout_cache_entries: 512,
            ..Settings::default()
        };
        Settings {
            inline_bytes_max: [0, 300, 8 << 10, 8 << 10][pick(&mut random, 4)],
            delete_consumed_rows: random.chance(0.5),
            late_blocks_max: [2, 8][pick(&mut random, 2)],
            merge_inputs_max: [4, 12, 48][pick(&mut random, 3)],
            merge_samples_max: [1_000, 5_000, 50_000_000][pick(&mut random, 3)],
            part_samples_max: [1_000, 4_000][pick(&mut random, 2)],
            part_series_max: [20, 1_000][pick(&mut random, 2)],
            part_lease_ms: 600_000,
            part_time_min_ms: 60_000,
            job_samples_max: [500, 20_000_000, 20_000_000][pick(&mut random, 3)],
            ..settings
        }
    }

    /// What goes wrong from `from_ms` until `until_ms`, and with what probability a sandbox freezes at an effect.
    #[must_use]
    pub fn swarm(&self, from_ms: i64, until_ms: i64) -> (RandomFaults, f64) {
        if !self.faults {
            return (RandomFaults::default(), 0.0);
        }
        let mut random = random(self.seed, "freeze");
        let (freezes, rate) = (random.chance(0.5), random.unit() * 0.002);
        (RandomFaults::swarm(self.seed, from_ms, until_ms), if freezes { rate } else { 0.0 })
    }

    /// How long a delivered message is hidden.
    #[must_use]
    pub fn visibility(&self) -> Duration {
        Duration::from_secs([10, 20, 60][pick(&mut random(self.seed, "visibility"), 3)])
    }
}

/// The seeds that once failed, or come close to what failed, each with its hours of faults.
#[must_use]
pub fn regressions() -> Vec<(u64, u32)> {
    let lines = include_str!("../regressions.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (seed, hours) = line.split_once(' ')?;
            Some((seed.parse().ok()?, hours.parse().ok()?))
        })
        .collect()
}

fn random(seed: u64, label: &str) -> Random {
    Random::new(seed).split("plan").split(label)
}

fn pick(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count as u64)).unwrap_or(0)
}
