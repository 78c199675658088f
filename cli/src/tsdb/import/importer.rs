//! OpenMetrics text to samples of series.
#![expect(clippy::disallowed_types, reason = "a fixed hasher, and nothing iterates over the maps")]

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use model::exemplar::LABEL_CHARACTERS_MAX;
use model::{Exemplar, Labels};
use textparse::{Event, ExposedExemplar, ExposedLabel, MetricType, OpenMetricsParser, OpenMetricsState};
use tsdb::{Backfill, BackfillSeries, Backfilled, TsdbError};
use xxhash_rust::xxh3::Xxh3;

use super::families::Families;
use super::input::Input;
use super::progress::Progress;

/// Bytes that are read at a time.
const READ_BYTES: u64 = 1 << 20;
/// A longer line is refused.
const LINE_BYTES_MAX: usize = 16 << 20;
/// What a text in the cache takes besides its bytes.
const CACHED_BYTES: usize = 64;

type Cache = HashMap<Box<[u8]>, BackfillSeries, BuildHasherDefault<Xxh3>>;

/// An import of one file.
pub(super) struct Importer<'a> {
    backfill: Backfill<'a>,
    memory_bytes: usize,
    /// What is attached to every series.
    labels: &'a [(String, String)],
    /// Texts of series that are known, by what decides how bounds are read: histograms, summaries, the others.
    caches: [Cache; 3],
    cached_bytes: usize,
    families: Families,
    /// The series and instant of the last sample, which an exemplar belongs to.
    last: Option<(BackfillSeries, i64)>,
    /// Lines that are behind.
    lines: u64,
}

impl<'a> Importer<'a> {
    /// An import that holds about `memory_bytes` before it writes blocks.
    pub(super) fn new(backfill: Backfill<'a>, labels: &'a [(String, String)], memory_bytes: usize) -> Self {
        let caches = [Cache::default(), Cache::default(), Cache::default()];
        Self {
            backfill,
            memory_bytes,
            labels,
            caches,
            cached_bytes: 0,
            families: Families::default(),
            last: None,
            lines: 0,
        }
    }

    /// Reads an input to its end.
    ///
    /// # Errors
    /// With the line, in the parser's words.
    pub(super) async fn read(
        &mut self,
        input: &mut Input,
        progress: &mut Progress<'_>,
    ) -> Result<(), String> {
        let mut buffer: Vec<u8> = Vec::new();
        let mut state = OpenMetricsState::default();
        loop {
            let is_last = input.fill(&mut buffer, READ_BYTES)?;
            let end = if is_last { buffer.len() } else { after_last_line(&buffer) };
            let piece = buffer.get(..end).unwrap_or_default();
            let mut parser = OpenMetricsParser::resume(piece, state, is_last);
            while let Some(event) = parser.next() {
                let done = parser.consumed();
                // A faulty line is the next one; of a sound line nothing is left.
                let event = event.map_err(|error| self.at_line(piece, done, 1, &error))?;
                self.event(&event).map_err(|error| self.at_line(piece, done, 0, &error))?;
                // An exemplar follows its sample.
                if !matches!(event, Event::Help { .. } | Event::Type { .. } | Event::Unit { .. })
                    && self.backfill.held_bytes() + self.cached_bytes >= self.memory_bytes
                {
                    self.flush().await.map_err(|error| error.to_string())?;
                }
            }
            let consumed = parser.consumed();
            state = parser.state();
            self.lines += newlines(piece.get(..consumed).unwrap_or_default());
            buffer.drain(..consumed);
            progress.at(input.position(), self.backfill.samples());
            if is_last {
                return Ok(());
            }
            if buffer.len() > LINE_BYTES_MAX {
                return Err(format!("line {}: it is longer than {LINE_BYTES_MAX} bytes", self.lines + 1));
            }
        }
    }

    /// Makes everything visible.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub(super) async fn commit(self) -> Result<Backfilled, TsdbError> {
        self.backfill.commit().await
    }

    async fn flush(&mut self) -> Result<(), TsdbError> {
        self.backfill.flush().await?;
        // The series' numbers are no more.
        self.caches = [Cache::default(), Cache::default(), Cache::default()];
        self.cached_bytes = 0;
        self.families.forget();
        self.last = None;
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Series(series) | Event::Created(series) => self.sample(series),
            Event::Exemplar(exemplar) => self.exemplar(exemplar),
            Event::Help { .. } | Event::Type { .. } | Event::Unit { .. } => {
                self.families.hear(event);
                Ok(())
            }
            Event::Comment(_) => Ok(()),
        }
    }

    /// An exemplar of the last sample. One that Prometheus would not keep is left out.
    fn exemplar(&mut self, exposed: &ExposedExemplar<'_>) -> Result<(), String> {
        let Some((series, timestamp)) = self.last else { return Ok(()) };
        let mut labels = Vec::new();
        exposed.labels(&mut labels).map_err(|error| error.to_string())?;
        let characters = |label: &ExposedLabel<'_>| label.name.chars().count() + label.value.chars().count();
        if labels.iter().map(characters).sum::<usize>() > LABEL_CHARACTERS_MAX {
            return Ok(());
        }
        let exemplar = Exemplar {
            labels: labels.into_iter().map(|label| (label.name, label.value)).collect(),
            value: exposed.value,
            timestamp: exposed.timestamp.unwrap_or(timestamp),
        };
        self.backfill.push_exemplar(series, exemplar).map_err(|error| error.to_string())
    }

    fn sample(&mut self, series: &textparse::Series<'_>) -> Result<(), String> {
        let cache = match series.label_kind() {
            MetricType::Histogram => 0,
            MetricType::Summary => 1,
            _ => 2,
        };
        let known = self.caches.get(cache).and_then(|cache| cache.get(series.text)).copied();
        let number = match known {
            Some(number) => number,
            None => {
                let labels = self.labels_of(series)?;
                let family = self.families.of(labels.metric_name(), &mut self.backfill)?;
                let number = self.backfill.series(labels, family).map_err(|error| error.to_string())?;
                self.cached_bytes += CACHED_BYTES + series.text.len();
                if let Some(cache) = self.caches.get_mut(cache) {
                    cache.insert(series.text.into(), number);
                }
                number
            }
        };
        let Some(timestamp) = series.timestamp else {
            return Err(format!("expected timestamp for series {}, got none", self.labels_of(series)?));
        };
        self.last = Some((number, timestamp));
        self.backfill.push(number, timestamp, series.value).map_err(|error| error.to_string())
    }

    fn labels_of(&self, series: &textparse::Series<'_>) -> Result<Labels, String> {
        let mut exposed = Vec::new();
        series.labels(&mut exposed).map_err(|error| error.to_string())?;
        for (name, value) in self.labels {
            exposed.retain(|label| label.name != name.as_str());
            exposed.push(ExposedLabel { name: Cow::Owned(name.clone()), value: Cow::Owned(value.clone()) });
        }
        exposed.sort_by(|a, b| a.name.cmp(&b.name));
        let twice = exposed.windows(2).find_map(|pair| match pair {
            [a, b] if a.name == b.name => Some(&a.name),
            _ => None,
        });
        match twice {
            Some(name) => Err(format!("label name {name:?} is not unique: invalid sample")),
            None => Ok(exposed.into_iter().map(|label| (label.name, label.value)).collect()),
        }
    }

    /// An error about the line that ends at `at` of a piece, or about the one `further` lines on.
    fn at_line(&self, piece: &[u8], at: usize, further: u64, error: &dyn std::fmt::Display) -> String {
        let line = self.lines + newlines(piece.get(..at).unwrap_or_default()) + further;
        format!("line {line}: {error}")
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn after_last_line(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)
}
