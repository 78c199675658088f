//! The command line.

use crate::Outcome;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The parts, of [`PARTS`].
    pub parts: Vec<String>,
    /// Seeds of the generated days.
    pub seeds: Vec<u64>,
    /// Scrapes of each target of the generated sets.
    pub steps: usize,
    /// How many times the targets of the generated days there are in the set that is read from.
    pub scale: usize,
    /// How many generated days the peers are given, besides the recorded scrapes.
    pub peer_days: usize,
    /// How often what is timed is repeated.
    pub repeat: usize,
}

/// All parts.
pub const PARTS: [&str; 5] = ["sizes", "speed", "reads", "wal", "cost"];

/// How it is called.
pub const USAGE: &str = "\
Usage: storage-bench [--parts sizes,speed,reads,wal,cost] [--seeds 1,2,3] [--steps 5760] [--scale 4] [--peer-days 1]
                     [--repeat 5]

  --parts      what to measure; everything by default
  --seeds      seeds of the generated days
  --steps      scrapes of each generated target, one every 15 s; 5760 are a day
  --scale      how large the set is that is read from: 4 is 20k series
  --peer-days  on how many of the generated days Prometheus and VictoriaMetrics are measured, too; 0 for none at all
  --repeat     how often what is timed is repeated: the best counts";

impl Default for Options {
    fn default() -> Self {
        Self {
            parts: PARTS.map(str::to_owned).to_vec(),
            seeds: vec![1, 2, 3],
            steps: crate::generate::DAY_STEPS,
            scale: 4,
            peer_days: 1,
            repeat: 5,
        }
    }
}

impl Options {
    /// Reads the command line's arguments, without the program's name.
    ///
    /// # Errors
    /// The usage, where an argument is not known or malformed.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Outcome<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match argument.as_str() {
                "--parts" => options.parts = value.split(',').map(str::to_owned).collect(),
                "--seeds" => options.seeds = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "--steps" => options.steps = value.parse()?,
                "--scale" => options.scale = value.parse()?,
                "--peer-days" => options.peer_days = value.parse()?,
                "--repeat" => options.repeat = value.parse()?,
                _ => return Err(USAGE.into()),
            }
        }
        if options.parts.iter().any(|part| !PARTS.contains(&part.as_str())) {
            return Err(USAGE.into());
        }
        Ok(options)
    }

    /// Whether a part is to run.
    #[must_use]
    pub fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|wanted| wanted == part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Outcome<Options> {
        Options::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_and_wrong_ones_give_the_usage() {
        let options = parse("--parts wal,cost --seeds 7 --steps 10 --peer-days 0").unwrap();
        assert!(options.has("wal") && !options.has("sizes"));
        assert_eq!((options.seeds.as_slice(), options.steps, options.peer_days), ([7].as_slice(), 10, 0));
        assert_eq!(parse("").unwrap(), Options::default());
        for wrong in ["--parts all", "--seeds", "--help", "--seeds x", "7"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
