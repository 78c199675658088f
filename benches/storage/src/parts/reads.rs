//! Selective reads, counted where the store asks its objects.

use std::sync::Arc;

use model::{MatchOp, Matcher};
use platform::{ByteRange, Objects};
use storage::{LabelQuery, Limits, Queryable, Select, SelectHints};
use tsdb::block::{BlockOptions, BlockReader};
use tsdb::{Settings, Store};

use crate::Outcome;
use crate::counting::{CountingObjects, ReadRequest};
use crate::data::DataSet;
use crate::lab::{Lab, Measured, block_meta, write_block};
use crate::table::{Table, at_most, count};

/// So many series are left out at the front, one after the other, to move the row groups.
const SHIFTS: [usize; 3] = [364, 728, 1_092];

/// One question.
struct Question {
    name: &'static str,
    matchers: Vec<Matcher>,
    /// The last so many ms of the day; `None` for all of it.
    last_ms: Option<i64>,
    /// Most requests, rounds and bytes: in all, or for each series.
    gate: Option<(u64, u64, Bytes)>,
}

enum Bytes {
    InAll(u64),
    EachSeries(u64),
}

/// Counts of reads of one block with all of `data`.
///
/// # Errors
/// Where a read fails.
pub fn run(data: &DataSet) -> Outcome<Vec<Table>> {
    let block = write_block(data, BlockOptions { zstd_level: 9, ..BlockOptions::default() })?;
    let meta = block_meta(&block);
    let lab = Lab::new(meta.max_time + 600_000);
    lab.store_block(&block, &meta)?;
    let size = block.files.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    drop(block);
    let mut reads = Table::new(
        format!(
            "Reads of one block: {}, {} series, {} samples, {} bytes",
            data.name,
            count(meta.series),
            count(meta.samples),
            count(size)
        ),
        &[
            "question",
            "series",
            "samples",
            "footer read: requests, bytes, rounds",
            "footer cached",
            "index cached too",
            "again",
            "gate (footer cached)",
            "verdict",
        ],
    );
    let objects: Arc<dyn Objects> = Arc::<CountingObjects>::clone(&lab.objects);
    let mut requests_made = Vec::new();
    for question in questions(data)? {
        let open = lab.measure(BlockReader::open(Arc::clone(&objects), &meta))?;
        let opened = shown(&open);
        let reader = open.output?;
        let min = question.last_ms.map_or(meta.min_time, |last| meta.max_time - last);
        // Each answer is for a reader in a fresh state but for what the column says is cached.
        let cold = lab.measure(reader.select(&question.matchers, min, meta.max_time))?;
        let again = lab.measure(reader.select(&question.matchers, min, meta.max_time))?;
        let fresh = lab.measure(BlockReader::open(Arc::clone(&objects), &meta))?.output?;
        lab.measure(fresh.series(std::slice::from_ref(&question.matchers), meta.min_time, meta.max_time))?
            .output?;
        let indexed = lab.measure(fresh.select(&question.matchers, min, meta.max_time))?;
        let (requests, bytes, rounds) = (cold.objects.reads, cold.objects.read_bytes, cold.rounds);
        let cells = [shown(&cold), shown(&indexed), shown(&again)];
        requests_made.push(format!("{}: {}", question.name, requests_of(&cold)));
        let found = cold.output?;
        let series = found.len() as u64;
        let samples: u64 = found.iter().map(|series| series.timestamps.len() as u64).sum();
        let mut row = vec![question.name.to_owned(), count(series), count(samples), opened];
        row.extend(cells);
        if let Some((requests_max, rounds_max, bytes_max)) = question.gate {
            let (limit, text) = match bytes_max {
                Bytes::InAll(limit) => (limit, format!("{} B", count(limit))),
                Bytes::EachSeries(limit) => (limit * series, format!("{limit} B a series")),
            };
            row.push(format!("{requests_max}, {text}, {rounds_max}"));
            let misses = [(requests, requests_max), (bytes, limit), (rounds, rounds_max)];
            let worst =
                misses.iter().map(|(figure, limit)| *figure as f64 / *limit as f64).fold(0.0, f64::max);
            row.push(format!("{} ({})", at_most(worst, 1.0), per_series(bytes, series)));
        }
        reads.row(row);
    }
    reads.note("A round is a request that had to wait for another: in the simulation each takes a virtual second, and rounds are the seconds that went by. Requests are S3 GETs.");
    for requests in requests_made {
        reads.note(requests);
    }
    lab.commit(vec![meta.clone()])?;
    let shifted = shifted(data)?;
    Ok(vec![reads, shifted, labels(&lab, data, (meta.min_time, meta.max_time))?])
}

/// How many requests the gated questions take where the row groups are cut elsewhere: whether a metric lies in one of them or
/// in two is chance.
fn shifted(data: &DataSet) -> Outcome<Table> {
    let mut table = Table::new(
        "The same where the first series are left out, so that row groups are cut elsewhere (footer cached)",
        &["question", "series left out", "requests, bytes, rounds"],
    );
    for shift in SHIFTS {
        let rest = data.series.get(shift..).unwrap_or_default().to_vec();
        let rest = DataSet::new(data.name.clone(), rest);
        let block = write_block(&rest, BlockOptions { zstd_level: 9, ..BlockOptions::default() })?;
        let meta = block_meta(&block);
        let lab = Lab::new(meta.max_time);
        lab.store_block(&block, &meta)?;
        drop(block);
        let objects: Arc<dyn Objects> = Arc::<CountingObjects>::clone(&lab.objects);
        for question in questions(&rest)?.into_iter().filter(|question| question.gate.is_some()) {
            let reader = lab.measure(BlockReader::open(Arc::clone(&objects), &meta))?.output?;
            let read = lab.measure(reader.select(&question.matchers, meta.min_time, meta.max_time))?;
            table.row([question.name.to_owned(), count(shift as u64), shown(&read)]);
            read.output?;
        }
    }
    Ok(table)
}

fn questions(data: &DataSet) -> Outcome<Vec<Question>> {
    let equal = |name: &str, value: &str| Matcher::new(MatchOp::Equal, name, value);
    let regex = |name: &str, value: &str| Matcher::new(MatchOp::Regex, name, value);
    let metric = "node_cpu_seconds_total";
    let one = data.series.iter().find(|series| series.labels.metric_name() == metric);
    let one = one.ok_or("the data have no CPU seconds")?;
    let instance = one.labels.value("instance").to_owned();
    Ok(vec![
        Question {
            name: "one series of `node_cpu_seconds_total`",
            matchers: vec![
                equal("__name__", metric)?,
                equal("instance", &instance)?,
                equal("cpu", "3")?,
                equal("mode", "user")?,
            ],
            last_ms: None,
            gate: Some((3, 2, Bytes::InAll(80_000))),
        },
        Question {
            name: "the whole metric `node_cpu_seconds_total`",
            matchers: vec![equal("__name__", metric)?],
            last_ms: None,
            gate: Some((3, 2, Bytes::EachSeries(2_100))),
        },
        Question {
            name: "its last hour",
            matchers: vec![equal("__name__", metric)?],
            last_ms: Some(3_600_000),
            gate: None,
        },
        Question {
            name: "the histogram `http_request_duration_seconds_bucket`",
            matchers: vec![equal("__name__", "http_request_duration_seconds_bucket")?],
            last_ms: None,
            gate: None,
        },
        Question {
            name: "`{instance=...}`: all that one machine has",
            matchers: vec![equal("instance", &instance)?],
            last_ms: None,
            gate: None,
        },
        Question {
            name: "`{__name__=~\"node_memory_.*\"}`",
            matchers: vec![regex("__name__", "node_memory_.*")?],
            last_ms: None,
            gate: None,
        },
    ])
}

/// Questions about labels, through a store with this one block.
fn labels(lab: &Lab, data: &DataSet, (min_time, max_time): (i64, i64)) -> Outcome<Table> {
    let mut table = Table::new(
        format!("Questions to a store with that one block, {} series", count(data.series.len() as u64)),
        &["question", "answers", "new process: GETs, bytes, rounds (head and list included)", "again"],
    );
    let metric = Matcher::new(MatchOp::Equal, "__name__", "node_cpu_seconds_total")?;
    let query = |matcher_sets: Vec<Vec<Matcher>>| LabelQuery { matcher_sets, min_time, max_time, limit: 0 };
    let (all, of_metric) = (query(Vec::new()), query(vec![vec![metric.clone()]]));
    let limits = Limits { samples_max: u64::MAX, deadline: i64::MAX };
    let hints = SelectHints::default();
    let selects = [Select { matchers: vec![metric], min_time, max_time, hints }];
    for name in [
        "label_values(__name__)",
        "label_values(cpu)",
        "label_values(node_cpu_seconds_total, cpu)",
        "label_names()",
        "series of `node_cpu_seconds_total`",
        "select of `node_cpu_seconds_total`",
    ] {
        let store = Store::new(lab.ports(), Settings { retention_ms: None, ..Settings::default() });
        let ask = async || -> Outcome<usize> {
            Ok(match name {
                "label_values(__name__)" => store.label_values("__name__", &all).await?.len(),
                "label_values(cpu)" => store.label_values("cpu", &all).await?.len(),
                "label_values(node_cpu_seconds_total, cpu)" => {
                    store.label_values("cpu", &of_metric).await?.len()
                }
                "label_names()" => store.label_names(&all).await?.len(),
                "series of `node_cpu_seconds_total`" => store.series(&of_metric).await?.len(),
                _ => store.select(&selects, limits).await?.iter().map(Vec::len).sum(),
            })
        };
        let first = lab.measure(ask())?;
        let again = lab.measure(ask())?;
        let cells = [shown(&first), shown(&again)];
        table.row([vec![name.to_owned(), count(first.output? as u64)], cells.to_vec()].concat());
        again.output?;
    }
    Ok(table)
}

fn shown<T>(measured: &Measured<T>) -> String {
    let objects = &measured.objects;
    format!("{}, {}, {}", objects.reads, count(objects.read_bytes), measured.rounds)
}

/// The first requests, footer cached: file, first byte, bytes.
fn requests_of<T>(measured: &Measured<T>) -> String {
    const SHOWN: usize = 12;
    let log = &measured.objects.log;
    let request = |request: &ReadRequest| {
        let file = request.key.rsplit('/').next().unwrap_or_default();
        let start = match request.range {
            ByteRange::At { start, .. } => count(start),
            ByteRange::All | ByteRange::Last(_) => "whole or end".to_owned(),
        };
        format!("{file} {start}+{}", count(request.bytes))
    };
    let mut texts: Vec<String> = log.iter().take(SHOWN).map(request).collect();
    if log.len() > SHOWN {
        texts.push(format!("{} more", log.len() - SHOWN));
    }
    texts.join(" · ")
}

fn per_series(bytes: u64, series: u64) -> String {
    if series > 1 { format!("{} B a series", bytes / series) } else { format!("{} B", count(bytes)) }
}
