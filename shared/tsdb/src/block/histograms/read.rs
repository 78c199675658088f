//! Reads histograms files.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::FloatHistogram;
use model::histogram::{BUCKETS_MAX, CounterResetHint, Span};

use super::{LISTS_BEFORE_BUCKETS, Structure};
use crate::block::page::{Levels, Rows, read_chunk};
use crate::block::schema::histograms;

/// The structures of a row group's rows.
#[derive(Debug)]
pub(in crate::block) struct HistogramRows {
    structures: Vec<Arc<Structure>>,
}

/// How many samples a histogram of so many buckets weighs in a limit on samples. Source: `HPoint.size` of Prometheus.
fn weight(buckets: usize) -> usize {
    const EMPTY_BYTES: usize = 176;
    const SAMPLE_BYTES: usize = 16;
    (EMPTY_BYTES + 8 * buckets) / SAMPLE_BYTES
}

/// How many samples a histogram weighs in a limit on samples.
pub(crate) fn histogram_weight(histogram: &FloatHistogram) -> usize {
    weight(histogram.positive_buckets.len() + histogram.negative_buckets.len())
}

impl HistogramRows {
    /// Decodes the columns from `schema` to `custom_values` of all index columns.
    pub(in crate::block) fn read(columns: &[Bytes], rows: usize) -> Result<Self, &'static str> {
        const MALFORMED: &str = "the structure of a histogram is malformed";
        let chunk = |column: usize| columns.get(column).ok_or("a column is missing");
        let schemas = read_chunk::<i32>(chunk(histograms::SCHEMA)?, Levels::REQUIRED, rows)?;
        let thresholds = read_chunk::<f64>(chunk(histograms::ZERO_THRESHOLD)?, Levels::REQUIRED, rows)?;
        let hints = read_chunk::<i32>(chunk(histograms::HINT)?, Levels::REQUIRED, rows)?;
        let list = |column: usize| read_chunk::<i32>(chunk(column)?, Levels::LIST, rows);
        let positive = (list(histograms::POSITIVE_OFFSETS)?, list(histograms::POSITIVE_LENGTHS)?);
        let negative = (list(histograms::NEGATIVE_OFFSETS)?, list(histograms::NEGATIVE_LENGTHS)?);
        let customs = read_chunk::<f64>(chunk(histograms::CUSTOM_VALUES)?, Levels::LIST, rows)?;
        let mut structures: Vec<Arc<Structure>> = Vec::with_capacity(rows);
        for row in 0..rows {
            let structure = Structure {
                schema: *one(&schemas, row).ok_or(MALFORMED)?,
                zero_threshold: *one(&thresholds, row).ok_or(MALFORMED)?,
                hint: hint(*one(&hints, row).ok_or(MALFORMED)?).ok_or(MALFORMED)?,
                positive_spans: spans(&positive, row).ok_or(MALFORMED)?,
                negative_spans: spans(&negative, row).ok_or(MALFORMED)?,
                custom_values: customs.get(row).ok_or(MALFORMED)?.to_vec(),
            };
            if structure.counts() > LISTS_BEFORE_BUCKETS + BUCKETS_MAX {
                return Err(MALFORMED);
            }
            structures.push(Arc::new(structure));
        }
        Ok(Self { structures })
    }

    /// What it occupies in memory, about.
    pub(in crate::block) fn size_bytes(&self) -> usize {
        let size = |structure: &Arc<Structure>| {
            let spans = structure.positive_spans.len() + structure.negative_spans.len();
            size_of::<Structure>() + 24 + 8 * (spans + structure.custom_values.len())
        };
        self.structures.iter().map(size).sum()
    }

    /// Counts that a sample of `row` has.
    pub(in crate::block) fn counts(&self, row: usize) -> usize {
        self.structures.get(row).map_or(0, |structure| structure.counts())
    }

    /// How many samples a sample of `row` weighs in a limit on samples.
    pub(in crate::block) fn weight(&self, row: usize) -> usize {
        weight(self.counts(row).saturating_sub(LISTS_BEFORE_BUCKETS))
    }

    /// The samples `range` of the `n` of `row`.
    pub(in crate::block) fn histograms(
        &self,
        row: usize,
        n: usize,
        range: Range<usize>,
        sum: &[f64],
        count: impl Fn(usize) -> Option<f64>,
    ) -> Option<Vec<Arc<FloatHistogram>>> {
        let structure = self.structures.get(row)?;
        let (positive, negative) = structure.buckets();
        let first_negative = LISTS_BEFORE_BUCKETS + positive;
        let mut histograms = Vec::with_capacity(range.len());
        for at in range {
            let counts =
                |lists: Range<usize>| lists.map(|list| count(list * n + at)).collect::<Option<Vec<f64>>>();
            histograms.push(Arc::new(FloatHistogram {
                counter_reset_hint: structure.hint,
                schema: structure.schema,
                zero_threshold: structure.zero_threshold,
                zero_count: count(n + at)?,
                count: count(at)?,
                sum: *sum.get(at)?,
                positive_spans: structure.positive_spans.clone(),
                negative_spans: structure.negative_spans.clone(),
                positive_buckets: counts(LISTS_BEFORE_BUCKETS..first_negative)?,
                negative_buckets: counts(first_negative..first_negative + negative)?,
                custom_values: structure.custom_values.clone(),
            }));
        }
        Some(histograms)
    }
}

fn one<T>(rows: &Rows<T>, row: usize) -> Option<&T> {
    rows.get(row)?.first()
}

fn hint(number: i32) -> Option<CounterResetHint> {
    use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
    [Unknown, CounterReset, NotCounterReset, Gauge].into_iter().find(|hint| *hint as i32 == number)
}

fn spans((offsets, lengths): &(Rows<i32>, Rows<i32>), row: usize) -> Option<Vec<Span>> {
    let (offsets, lengths) = (offsets.get(row)?, lengths.get(row)?);
    if offsets.len() != lengths.len() {
        return None;
    }
    let span =
        |(offset, length): (&i32, &i32)| Some(Span { offset: *offset, length: u32::try_from(*length).ok()? });
    offsets.iter().zip(lengths).map(span).collect()
}
