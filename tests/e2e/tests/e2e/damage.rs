//! Files of a real run with a byte changed, or cut off: what they held is refused by the file's name, everything else is
//! answered as before, and no answer is ever other than before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use e2e::{Foxfire, NodeExporter, eventually, post_body};
use model::Labels;
use remote::testing::{compress, encode_v1};
use remote::{Sample, TimeSeries, WriteRequest};
use serde_json::Value;
use tempfile::TempDir;

const FLAGS: &[&str] = &["--web.enable-remote-write-receiver", "--storage.tsdb.min-block-duration=5s"];
/// Nothing is scraped, so that a copy stays as it is.
const QUIET: &str = "scrape_configs: []\n";
const PUSHED_SERIES: usize = 3_000;

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// One push whose payload is too large for a row: it becomes an object.
fn push_much(foxfire: &Foxfire) {
    let timestamp = (now() * 1000.0) as i64;
    let series = |n: usize| TimeSeries {
        labels: Labels::from_pairs([("__name__", "much".to_owned()), ("n", n.to_string())]),
        samples: vec![Sample { timestamp, value: (n as f64 + 0.5).sqrt() }],
        ..TimeSeries::default()
    };
    let request =
        WriteRequest { series: (0..PUSHED_SERIES).map(series).collect(), ..WriteRequest::default() };
    let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n";
    let body = compress(&encode_v1(&request));
    let (status, body) = post_body(&foxfire.address, "/api/v1/write", headers, &body).unwrap();
    assert_eq!(status, 204, "{body}");
}

/// Answers, or errors, by the name of the question.
type Answers = BTreeMap<&'static str, Result<Value, String>>;

/// A directory that was really used: blocks, and segments that are not yet in blocks.
struct Used {
    folder: TempDir,
    /// What is asked of every copy: a name, and the path of the request.
    questions: Vec<(&'static str, String)>,
    /// The answers of an undamaged copy.
    answers: BTreeMap<&'static str, Value>,
}

fn use_one() -> Used {
    let exporter = NodeExporter::start();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: node, static_configs: [{{targets: ['{}']}}]}}]\n",
        exporter.address
    );
    let mut foxfire = Foxfire::start(&config, &[], FLAGS);
    let blocks = |foxfire: &Foxfire| -> Vec<(i64, i64)> {
        let blocks = foxfire.data("/api/v1/status/tsdb/blocks");
        let blocks = blocks["blocks"].as_array().unwrap().clone();
        let time = |block: &Value, name: &str| block[name].as_i64().unwrap();
        blocks.iter().map(|block| (time(block, "minTime"), time(block, "maxTime"))).collect()
    };
    let cut = eventually("four blocks", Duration::from_secs(150), || {
        let cut = blocks(&foxfire);
        if cut.len() >= 4 { Ok(cut) } else { Err(format!("{} blocks", cut.len())) }
    });
    push_much(&foxfire);
    let end = now();
    std::thread::sleep(Duration::from_secs(2));
    foxfire.process().kill();
    let folder = TempDir::new().unwrap();
    copy(&foxfire.folder.path().join("data"), &folder.path().join("data"));

    let ask = |selector: &str, from: i64, until: i64| {
        let expr = format!("{selector}[{}ms]", until - from);
        let expr: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        format!("/api/v1/query?query={expr}&time={}", (until - 1) as f64 / 1000.0)
    };
    let end_ms = (end * 1000.0) as i64;
    let (first, last) = (cut[0], cut[3]);
    let questions = vec![
        ("first block", ask("{job=\"node\"}", first.0, first.1)),
        ("last block", ask("{job=\"node\"}", last.0, last.1)),
        ("segments", ask("{job=\"node\"}", end_ms - 10_000, end_ms)),
        ("pushed", ask("much", end_ms - 10_000, end_ms)),
    ];
    let mut used = Used { folder, questions, answers: BTreeMap::new() };
    let (foxfire, answers) = used.answers_of(&|_| {});
    drop(foxfire);
    used.answers = answers.into_iter().map(|(name, answer)| (name, answer.unwrap())).collect();
    for (name, answer) in &used.answers {
        let series = answer["result"].as_array().unwrap().len();
        assert!(series > 300, "{name}: only {series} series to compare");
    }
    used
}

impl Used {
    /// Files whose path has `part`, relative to the directory, in order.
    fn files(&self, part: &str) -> Vec<PathBuf> {
        let data = self.folder.path().join("data");
        let mut files = Vec::new();
        walk(&data, &mut files);
        let relative = files.iter().map(|file| file.strip_prefix(&data).unwrap().to_owned());
        let mut found: Vec<PathBuf> = relative.filter(|file| file.to_string_lossy().contains(part)).collect();
        found.sort();
        found
    }

    /// What a copy answers once `damage` was done to its directory; errors with their texts.
    fn answers_of(&self, damage: &dyn Fn(&Path)) -> (Foxfire, Answers) {
        self.try_answers_of(damage).unwrap_or_else(|log| panic!("foxfire does not start:\n{log}"))
    }

    /// The same where it may refuse to start; then what it has printed.
    fn try_answers_of(&self, damage: &dyn Fn(&Path)) -> Result<(Foxfire, Answers), String> {
        let folder = TempDir::new().unwrap();
        copy(&self.folder.path().join("data"), &folder.path().join("data"));
        damage(&folder.path().join("data"));
        let foxfire = Foxfire::try_start_in(folder, &[], QUIET, &[], FLAGS)?;
        let answers = self.questions.iter().map(|(name, path)| {
            let (status, body) = foxfire.get(path);
            let answer: Value = serde_json::from_str(&body).unwrap();
            let answer = if status == 200 {
                Ok(answer["data"].clone())
            } else {
                Err(answer["error"].as_str().unwrap().to_owned())
            };
            (*name, answer)
        });
        let answers = answers.collect();
        Ok((foxfire, answers))
    }

    /// Damages the store of rows: it is refused at the start, or questions are, or they are answered as before. How often
    /// which.
    fn try_damage_of_rows(&self) -> (usize, usize, usize) {
        let file = Path::new("rows.redb");
        let length = std::fs::metadata(self.folder.path().join("data").join(file)).unwrap().len() as usize;
        let (mut not_started, mut refused, mut answered) = (0, 0, 0);
        let mut changes = changes(length);
        // It is mostly empty: where there is something, changes tell more.
        let content = std::fs::read(self.folder.path().join("data").join(file)).unwrap();
        let full: Vec<usize> = (0..length).filter(|at| content[*at] != 0).collect();
        changes.extend((0..16).map(|n| Change::Flip(full[full.len() * n / 16 + n])));
        for change in changes {
            match self.try_answers_of(&|data| change.make(&data.join(file))) {
                Err(log) => {
                    assert!(log.contains("rows.redb"), "{change:?}: {log}");
                    not_started += 1;
                }
                Ok((mut foxfire, answers)) => {
                    for (name, answer) in answers {
                        match answer {
                            Ok(answer) => {
                                assert!(answer == self.answers[name], "{name}: {change:?}: another answer");
                                answered += 1;
                            }
                            Err(_) => refused += 1,
                        }
                    }
                    assert!(foxfire.process().is_running());
                }
            }
        }
        (not_started, refused, answered)
    }

    /// Damages `file` in some ways; questions of `concerned` may be refused, all others must be answered; no answer may
    /// differ. How many questions were refused, and how many answered.
    fn try_damage(&self, file: &Path, concerned: &[&str]) -> (usize, usize) {
        let length = std::fs::metadata(self.folder.path().join("data").join(file)).unwrap().len() as usize;
        let (mut refused, mut answered) = (0, 0);
        for change in changes(length) {
            let (mut foxfire, answers) = self.answers_of(&|data| change.make(&data.join(file)));
            for (name, answer) in answers {
                let context = format!("{name}, {} with {change:?}", file.display());
                match answer {
                    Ok(answer) => {
                        assert!(answer == self.answers[name], "{context}: another answer");
                        answered += 1;
                    }
                    Err(error) => {
                        assert!(concerned.contains(&name), "{context}: {error}");
                        assert!(
                            error.contains("corrupt") || error.contains("not found"),
                            "{context}: {error}"
                        );
                        assert!(names(&error, file), "{context}: the error names no file: {error}");
                        refused += 1;
                    }
                }
            }
            assert!(foxfire.process().is_running());
            let log = foxfire.process().log();
            assert!(!log.contains("panicked"), "{}: {change:?}: {log}", file.display());
        }
        (refused, answered)
    }
}

/// Whether an error tells a person which file it is about: by its name, or for a WAL object by its segment's.
fn names(error: &str, file: &Path) -> bool {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let folder = file.parent().and_then(Path::file_name).unwrap().to_string_lossy().into_owned();
    let segment = name.rsplit_once('-').map_or(name.as_str(), |(segment, _)| segment);
    error.contains(&name) || error.contains(&folder) || error.contains(segment)
}

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Change {
    Flip(usize),
    Cut(usize),
}

impl Change {
    fn make(self, file: &Path) {
        let mut content = std::fs::read(file).unwrap();
        match self {
            Self::Flip(at) => content[at] ^= 0x10,
            Self::Cut(length) => content.truncate(length),
        }
        std::fs::write(file, content).unwrap();
    }
}

/// A sample of all positions: both ends, and some between that differ from file to file.
fn changes(length: usize) -> Vec<Change> {
    let middle = (1..5).map(|n| Change::Flip(length * n / 5 + n % length.max(1)));
    let mut all: Vec<Change> =
        middle.filter(|change| !matches!(change, Change::Flip(at) if *at >= length)).collect();
    all.extend([Change::Flip(0), Change::Flip(length - 1), Change::Flip(length.saturating_sub(12))]);
    all.extend([Change::Cut(0), Change::Cut(length / 2), Change::Cut(length - 1)]);
    all
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
fn damaged_files_are_refused_by_name_and_nothing_else_is() {
    let used = use_one();
    let all = ["first block", "last block", "segments", "pushed"];
    let (mut refused, mut answered) = (0, 0);
    let mut tell = |what: &str, counts: (usize, usize)| {
        println!("{what}: {} questions refused, {} answered as before", counts.0, counts.1);
        refused += counts.0;
        answered += counts.1;
    };
    // Blocks sort by the time that they were made.
    let samples = used.files("samples-");
    tell("samples of a block", used.try_damage(&samples[0], &["first block"]));
    let timelines = used.files("timelines");
    tell("timelines of a block", used.try_damage(&timelines[0], &["first block"]));
    let payloads = used.files("objects/wal/");
    tell("payload of a segment", used.try_damage(&payloads[payloads.len() - 1], &["segments", "pushed"]));
    let layouts = used.files("objects/layout/");
    for layout in &layouts {
        tell("layout", used.try_damage(layout, &["segments", "pushed"]));
    }
    let manifests = used.files("objects/manifest/");
    // All of it hangs on the manifest.
    tell("manifest", used.try_damage(&manifests[manifests.len() - 1], &all));
    let (not_started, refused_rows, answered_rows) = used.try_damage_of_rows();
    println!(
        "rows: {not_started} starts refused, {refused_rows} questions, {answered_rows} answered as before"
    );
    println!("altogether {refused} questions refused, {answered} answered as before");
    assert!(refused >= 60 && answered >= 80, "too little was damaged");
}
