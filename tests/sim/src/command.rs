//! The commands of long runs, and what they print: progress, and at the end a table and a line of JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::day::{self, Figures, Outcome};
use crate::explore::hunt::hunt;
use crate::explore::scenario::{Kind, Scenario};
use crate::explore::search::{Bounds, Explored, explore};
use crate::lock;
use crate::marks::MARKS;
use crate::mutant::Mutant;
use crate::plan::{self, Plan};
use crate::shrink::{self, Report};

const USAGE: &str = "usage: sim days COUNT [--from SEED] [--threads N]\n       \
                     sim explore [KIND ...] [--preemptions P] [--faults F] [--threads N] [--executions N] [--mutant NAME]\n       \
                     sim mutants [--days COUNT] [--executions N]\n       \
                     sim seed SEED [--hours N] [--records N] [--mutant NAME] [--shrink yes]\n";

/// What days came to: figures, the days with violations by seed, and how many days there were.
type Total = (Figures, Vec<(u64, Outcome)>, u64);

/// Hours of faults of a simulated day.
const DAY_HOURS: u32 = 24;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It found what it should, and nothing else.
    Sound,
    /// It found something wrong, or not everything that it should.
    Unsound,
    /// It was not called as its usage says.
    Usage,
}

/// Runs a command.
pub fn run(arguments: &[String], out: &mut (dyn Write + Send)) -> Ended {
    let (command, rest) =
        arguments.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let parsed = Options::new(command, rest);
    let done = match (command, &parsed) {
        (_, Err(error)) => {
            let _ = write!(out, "sim: {error}\n{USAGE}");
            return Ended::Usage;
        }
        ("days", Ok(options)) => days(options, out),
        ("explore", Ok(options)) => explorations(options, out),
        ("mutants", Ok(options)) => mutants(options, out),
        (_, Ok(options)) => seed(options, out),
    };
    if done.unwrap_or(false) { Ended::Sound } else { Ended::Unsound }
}

/// What follows a command: words, and pairs of a name and a value.
#[derive(Debug, Default)]
struct Options {
    words: Vec<String>,
    named: BTreeMap<String, String>,
}

impl Options {
    /// The options of a command, or what is wrong with them.
    fn new(command: &str, arguments: &[String]) -> Result<Self, String> {
        let (known, words_max): (&[&str], usize) = match command {
            "days" => (&["from", "threads"], 1),
            "explore" => (&["preemptions", "faults", "threads", "executions", "mutant"], usize::MAX),
            "mutants" => (&["days", "executions"], 0),
            "seed" => (&["hours", "records", "mutant", "shrink"], 1),
            _ => return Err(format!("no such command: {command:?}")),
        };
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(name) = argument.strip_prefix("--") else {
                options.words.push(argument.clone());
                continue;
            };
            let value = arguments.next().ok_or_else(|| format!("--{name} needs a value"))?;
            let sound = match name {
                _ if !known.contains(&name) => return Err(format!("{command} has no --{name}")),
                "mutant" => Mutant::named(value).is_some(),
                "shrink" => value == "yes",
                _ => value.parse::<u64>().is_ok(),
            };
            if !sound {
                return Err(format!("--{name} cannot be {value:?}"));
            }
            options.named.insert(name.to_owned(), value.clone());
        }
        let is_sound = |word: &String| match command {
            "explore" => Kind::named(word).is_some(),
            _ => word.parse::<u64>().is_ok(),
        };
        match options.words.iter().enumerate().find(|(nth, word)| *nth >= words_max || !is_sound(word)) {
            Some((_, word)) => Err(format!("{command} has no use for {word:?}")),
            None => Ok(options),
        }
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        self.named.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    fn mutant(&self) -> Option<Mutant> {
        self.named.get("mutant").and_then(|name| Mutant::named(name))
    }
}

fn days(options: &Options, out: &mut (dyn Write + Send)) -> std::io::Result<bool> {
    if !options.named.contains_key("from") && !regressions(out)? {
        return Ok(false);
    }
    let count = options.words.first().and_then(|text| text.parse().ok()).unwrap_or(10);
    let (first, threads) = (options.number("from", 1), options.number("threads", 2));
    let next = AtomicU64::new(0);
    let total: Mutex<Total> = Mutex::default();
    let out = Mutex::new(out);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= count || lock(&total).1.len() >= 5 {
                        return;
                    }
                    let seed = first + nth;
                    let outcome = day::run(&Plan::new(seed, DAY_HOURS));
                    let mut total = lock(&total);
                    total.0.add(&outcome.figures);
                    total.2 += 1;
                    if !outcome.violations.is_empty() {
                        let _ = writeln!(lock(&out), "seed {seed}: {}", outcome.violations[0]);
                        total.1.push((seed, outcome));
                    }
                    if total.2.is_multiple_of(50) {
                        let _ = writeln!(
                            lock(&out),
                            "{} days, {} scrapes acknowledged, {} violations",
                            total.2,
                            total.0.scrapes,
                            total.1.len()
                        );
                    }
                }
            });
        }
    });
    let out = out.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (figures, failures, done) = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    write_figures(out, &figures, done, &failures)?;
    for (seed, _) in failures.iter().take(1) {
        write_report(out, &shrink::report(&Plan::new(*seed, DAY_HOURS)))?;
    }
    let unhit: Vec<&str> = unhit(&figures);
    // A few days need not see everything.
    Ok(failures.is_empty() && (unhit.is_empty() || done < 200))
}

/// Runs the seeds that failed before; they are no part of the figures.
fn regressions(out: &mut (dyn Write + Send)) -> std::io::Result<bool> {
    for (seed, hours) in plan::regressions() {
        let plan = Plan::new(seed, hours);
        let outcome = day::run(&plan);
        if !outcome.violations.is_empty() {
            write_report(out, &Report::unshrunk(&plan, outcome))?;
            return Ok(false);
        }
    }
    writeln!(out, "{} seeds that failed before: no violations", plan::regressions().len())?;
    Ok(true)
}

fn unhit(figures: &Figures) -> Vec<&'static str> {
    MARKS.iter().map(|(mark, _)| *mark).filter(|mark| !figures.marks.contains_key(mark)).collect()
}

/// How many violations there were of the kinds that matter most.
fn by_kind(failures: &[(u64, Outcome)]) -> BTreeMap<&'static str, u64> {
    let mut kinds: BTreeMap<&'static str, u64> =
        [("lost", 0), ("doubled", 0), ("changed", 0), ("invented", 0), ("other", 0)].into_iter().collect();
    for (_, outcome) in failures {
        for violation in &outcome.violations {
            let kind = match violation.invariant {
                "S1" => "lost",
                "S2" => "doubled",
                "S5" => "changed",
                "S3" => "invented",
                _ => "other",
            };
            *kinds.entry(kind).or_default() += 1;
        }
    }
    kinds
}

fn write_figures(
    out: &mut (dyn Write + Send),
    figures: &Figures,
    days: u64,
    failures: &[(u64, Outcome)],
) -> std::io::Result<()> {
    let kinds = by_kind(failures);
    let rows = [
        ("simulated days under faults", days),
        ("scrapes acknowledged", figures.scrapes),
        ("tasks acknowledged as missed", figures.missed),
        ("pushed samples acknowledged", figures.pushed),
        ("port calls", figures.port_calls),
        ("faults injected", figures.faults.values().sum()),
        ("crashes", figures.crashes),
        ("messages delivered twice at once", figures.duplicates),
        ("sandboxes started", figures.sandboxes),
        ("commits", figures.commits),
        ("audits", figures.audits),
        ("samples compared", figures.audited.samples),
        ("scrapes compared sample by sample", figures.audited.scrapes),
        ("stale markers checked", figures.audited.markers),
    ];
    writeln!(out, "\n| | |\n|---|---:|")?;
    for (name, value) in rows {
        writeln!(out, "| {name} | {value} |")?;
    }
    for (kind, count) in &figures.faults {
        writeln!(out, "| faults: {kind} | {count} |")?;
    }
    for kind in ["lost", "doubled", "changed", "invented", "other"] {
        writeln!(out, "| **{kind}** | **{}** |", kinds.get(kind).copied().unwrap_or(0))?;
    }
    writeln!(out, "\n| sometimes | hits | |\n|---|---:|---|")?;
    for (mark, meaning) in MARKS {
        writeln!(out, "| {mark} | {} | {meaning} |", figures.marks.get(mark).copied().unwrap_or(0))?;
    }
    let json = json!({
        "days": days,
        "scrapes_acknowledged": figures.scrapes,
        "missed": figures.missed,
        "pushed": figures.pushed,
        "port_calls": figures.port_calls,
        "faults": figures.faults,
        "crashes": figures.crashes,
        "commits": figures.commits,
        "audits": figures.audits,
        "samples_compared": figures.audited.samples,
        "violations": kinds,
        "marks": figures.marks,
        "unhit": unhit(figures),
    });
    writeln!(out, "\n{json}")
}

fn explorations(options: &Options, out: &mut (dyn Write + Send)) -> std::io::Result<bool> {
    let named: Vec<Kind> = options.words.iter().filter_map(|name| Kind::named(name)).collect();
    let kinds = if named.is_empty() { Kind::ALL.to_vec() } else { named };
    let small = |name: &str, default: u64| u8::try_from(options.number(name, default).min(3)).unwrap_or(0);
    let (preemptions, faults) = (small("preemptions", 1), small("faults", 1));
    let bounds = Bounds { preemptions, faults, executions_max: options.number("executions", u64::MAX) };
    let threads = usize::try_from(options.number("threads", 2)).unwrap_or(1);
    writeln!(
        out,
        "| scenario | P | F | schedules run | to their end | states | end states audited | port calls | CPU s | exhausted | violations |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|")?;
    let (mut clean, mut exhausted, mut found) = (true, true, 0);
    let mut sum = Explored::default();
    let began = cpu_seconds();
    let mut json = Vec::new();
    for kind in kinds {
        let before = cpu_seconds();
        let scenario = match Scenario::new(kind, options.mutant()) {
            Ok(scenario) => scenario,
            Err(violation) => {
                writeln!(out, "{kind:?}: {violation}")?;
                clean = false;
                continue;
            }
        };
        let explored = explore(&scenario, bounds, threads);
        let violations = u64::from(explored.violation.is_some());
        writeln!(
            out,
            "| {kind:?} | {preemptions} | {faults} | {} | {} | {} | {} | {} | {:.1} | {} | {violations} |",
            explored.executions,
            explored.complete,
            explored.states,
            explored.finals,
            explored.port_calls,
            cpu_seconds() - before,
            if explored.exhausted { "yes" } else { "no" },
        )?;
        out.flush()?;
        json.push(json!({
            "scenario": format!("{kind:?}"), "preemptions": preemptions, "faults": faults,
            "schedules": explored.executions, "states": explored.states, "finals": explored.finals,
            "port_calls": explored.port_calls, "exhausted": explored.exhausted, "violations": violations,
            "cpu_seconds": cpu_seconds() - before,
        }));
        sum.executions += explored.executions;
        sum.complete += explored.complete;
        sum.states += explored.states;
        sum.finals += explored.finals;
        sum.port_calls += explored.port_calls;
        if let Some((violation, story)) = explored.violation {
            writeln!(out, "\n{violation}\n{story}")?;
        }
        exhausted &= explored.exhausted;
        found += violations;
        clean &= violations == 0 && explored.exhausted;
    }
    writeln!(
        out,
        "| all | {preemptions} | {faults} | {} | {} | {} | {} | {} | {:.1} | {} | {} |",
        sum.executions,
        sum.complete,
        sum.states,
        sum.finals,
        sum.port_calls,
        cpu_seconds() - began,
        if exhausted { "yes" } else { "no" },
        found,
    )?;
    writeln!(out, "\n{}", json!(json))?;
    Ok(clean)
}

/// The CPU time of this process so far, all its threads together; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may have blanks. User and system time are the 12th and 13th after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}

fn mutants(options: &Options, out: &mut (dyn Write + Send)) -> std::io::Result<bool> {
    let days = options.number("days", 0);
    writeln!(
        out,
        "| rule | mutant | found by the explorer in | P | F | schedules | what it broke | first seed of random days |"
    )?;
    writeln!(out, "|---|---|---|---:|---:|---:|---|---:|")?;
    let mut all = true;
    for mutant in Mutant::ALL {
        let hunted = hunt(mutant, options.number("executions", 200_000));
        let found = |seed: &u64| {
            !day::run(&Plan { mutant: Some(mutant), ..Plan::new(*seed, DAY_HOURS) }).violations.is_empty()
        };
        let seed = (1..=days).find(found).map_or_else(|| "-".to_owned(), |seed| seed.to_string());
        match &hunted.found {
            Some(found) => writeln!(
                out,
                "| {} | {mutant:?} | {:?} | {} | {} | {} | {} | {seed} |",
                mutant.rule(),
                found.kind,
                found.preemptions,
                found.faults,
                hunted.executions,
                found.violation.invariant,
            )?,
            None => writeln!(
                out,
                "| {} | {mutant:?} | NOT FOUND | | | {} | | {seed} |",
                mutant.rule(),
                hunted.executions
            )?,
        }
        out.flush()?;
        all &= hunted.found.is_some();
    }
    Ok(all)
}

fn seed(options: &Options, out: &mut (dyn Write + Send)) -> std::io::Result<bool> {
    let seed = options.words.first().and_then(|text| text.parse().ok()).unwrap_or(1);
    let hours = u32::try_from(options.number("hours", DAY_HOURS.into())).unwrap_or(DAY_HOURS);
    let records = usize::try_from(options.number("records", 50)).unwrap_or(50);
    let plan = Plan { records, mutant: options.mutant(), ..Plan::new(seed, hours) };
    let outcome = day::run(&plan);
    if outcome.violations.is_empty() {
        write_figures(out, &outcome.figures, 1, &[])?;
        writeln!(out, "trace {:016x}", outcome.trace_hash)?;
        return Ok(true);
    }
    if options.named.contains_key("shrink") {
        write_report(out, &shrink::report(&plan))?;
    } else {
        write_report(out, &Report::unshrunk(&plan, outcome))?;
    }
    Ok(false)
}

fn write_report(out: &mut (dyn Write + Send), report: &Report) -> std::io::Result<()> {
    write!(out, "\n{report}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_does_not_know_is_refused_with_its_usage() {
        for wrong in [
            "",
            "dyas 3",
            "days 3 --first-seed 7",
            "days 3 --from",
            "days 3 --from one",
            "days three",
            "days 3 4",
            "explore Nothing",
            "explore --mutant Nobody",
            "mutants AttemptInKey",
            "seed 1 --shrink no",
        ] {
            let arguments: Vec<String> = wrong.split_whitespace().map(str::to_owned).collect();
            let mut out = Vec::new();
            assert_eq!(run(&arguments, &mut out), Ended::Usage, "{wrong}");
            assert!(String::from_utf8_lossy(&out).contains("usage: sim days COUNT"), "{wrong}");
        }
        let named = Options::new("days", &["3".to_owned(), "--from".to_owned(), "7".to_owned()]).unwrap();
        assert_eq!((named.words.len(), named.number("from", 1)), (1, 7));
    }
}
