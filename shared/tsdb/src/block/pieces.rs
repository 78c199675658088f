//! Samples of rows, and series from them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::{FloatHistogram, Labels, TimestampMs};
use storage::{HistogramColumn, Series};

use super::group::Values;
use super::instants::{Instants, TimelinesFile};
use super::places::Place;
use super::rows::{GroupIndex, RowsFile};
use super::schema::TIMELINES_FILE;
use super::types::{BlockError, compare};

/// A series, or the part of one that a row has.
#[derive(Debug)]
pub(super) struct Piece<V> {
    pub(super) labels: Labels,
    timestamps: Run<TimestampMs>,
    values: Run<V>,
}

#[derive(Debug)]
enum Run<T> {
    Common(Arc<[T]>),
    Owned(Vec<T>),
}

impl<T: Clone> Run<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::Common(items) => items,
            Self::Owned(items) => items,
        }
    }

    fn into_shared(self) -> Arc<[T]> {
        match self {
            Self::Common(items) => items,
            Self::Owned(items) => items.into(),
        }
    }

    fn extend(&mut self, added: &[T]) {
        match self {
            Self::Owned(items) => items.extend_from_slice(added),
            Self::Common(items) => *self = Self::Owned([&**items, added].concat()),
        }
    }
}

impl Piece<f64> {
    fn into_series(self) -> Series {
        Series::floats(self.labels, self.timestamps.into_shared(), self.values.into_shared())
    }
}

impl Piece<Arc<FloatHistogram>> {
    fn into_series(self) -> Series {
        let histograms =
            HistogramColumn { timestamps: self.timestamps.into_shared(), values: self.values.into_shared() };
        Series { histograms, ..Series::floats(self.labels, Arc::default(), Arc::default()) }
    }
}

/// Appends a piece, to the last series if it is part of it.
pub(super) fn join<V: Clone>(series: &mut Vec<Piece<V>>, piece: Piece<V>) -> Result<(), BlockError> {
    let Some(last) = series.last_mut().filter(|last| last.labels == piece.labels) else {
        series.push(piece);
        return Ok(());
    };
    let added = piece.timestamps.as_slice();
    if last.timestamps.as_slice().last() >= added.first() {
        let reason = "the rows of a series are not in order".to_owned();
        return Err(BlockError::Corrupt { file: piece.labels.to_string(), reason });
    }
    last.timestamps.extend(added);
    last.values.extend(piece.values.as_slice());
    Ok(())
}

/// The series of floats and of histograms, each sorted in a block's order, as one list in that order.
pub(super) fn into_series(
    floats: Vec<Piece<f64>>,
    histograms: Vec<Piece<Arc<FloatHistogram>>>,
) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::with_capacity(floats.len() + histograms.len());
    let mut floats = floats.into_iter().peekable();
    let mut histograms = histograms.into_iter().map(Piece::<Arc<FloatHistogram>>::into_series).peekable();
    loop {
        let order = match (floats.peek(), histograms.peek()) {
            (None, None) => return series,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(float), Some(histogram)) => compare(&float.labels, &histogram.labels),
        };
        let float = if order.is_le() { floats.next() } else { None };
        let histogram = if order.is_ge() { histograms.next() } else { None };
        match (float, histogram) {
            (Some(float), Some(histogram)) => {
                series.push(Series { histograms: histogram.histograms, ..float.into_series() });
            }
            (Some(float), None) => series.push(float.into_series()),
            (None, Some(histogram)) => series.push(histogram),
            (None, None) => return series,
        }
    }
}

/// What the row groups of one call share: parts of timelines, so that rows with the same instants share memory, and the
/// number of samples that they may still give.
#[derive(Debug)]
pub(super) struct Shared {
    left: AtomicU64,
    known: Mutex<BTreeMap<SliceKey, Arc<[TimestampMs]>>>,
}

/// Timeline, first instant, and the one after the last.
type SliceKey = (i64, usize, usize);

impl Shared {
    pub(super) fn new(samples_max: u64) -> Self {
        Self { left: AtomicU64::new(samples_max), known: Mutex::default() }
    }

    fn take(&self, samples: u64) -> Result<(), BlockError> {
        let less = |left: u64| left.checked_sub(samples);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map(|_| ()).map_err(|_| BlockError::TooManySamples)
    }

    /// The instants of `samples` of a row.
    fn get(
        &self,
        place: &Place,
        all: &Arc<[TimestampMs]>,
        samples: Range<usize>,
    ) -> Option<Arc<[TimestampMs]>> {
        let (start, end) = (place.start + samples.start, place.start + samples.end);
        if (start, end) == (0, all.len()) {
            return Some(Arc::clone(all));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slice) = known.get(&(place.tl, start, end)) {
            return Some(Arc::clone(slice));
        }
        let slice: Arc<[TimestampMs]> = all.get(start..end)?.into();
        known.insert((place.tl, start, end), Arc::clone(&slice));
        Some(slice)
    }
}

/// The timelines `wanted` of a block that may have none.
pub(super) async fn instants(
    timelines: Option<&TimelinesFile>,
    wanted: &std::collections::BTreeSet<i64>,
) -> Result<Instants, BlockError> {
    match timelines {
        Some(timelines) => timelines.get(wanted).await,
        None if wanted.is_empty() => Ok(Instants::new()),
        None => {
            Err(BlockError::Corrupt { file: TIMELINES_FILE.to_owned(), reason: "it is missing".to_owned() })
        }
    }
}

/// The samples of `rows`, ascending, within `times`.
pub(super) async fn read_rows<C: Values>(
    timelines: Option<&TimelinesFile>,
    file: &RowsFile<C>,
    index: &GroupIndex<C>,
    mut rows: Vec<u32>,
    times: (TimestampMs, TimestampMs),
    shared: &Shared,
) -> Result<Vec<Piece<C::Value>>, BlockError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = index.rows.timelines(&rows);
    let kept = timelines.map(|timelines| timelines.kept(&wanted));
    let (instants, fetched) = match kept.filter(|kept| kept.len() == wanted.len()) {
        // Timelines at hand tell which rows have nothing in the range: their values need not be fetched.
        Some(instants) => {
            let mut in_range = Vec::with_capacity(rows.len());
            for row in rows {
                if !clip(file, index, row, &instants, times)?.is_empty() {
                    in_range.push(row);
                }
            }
            rows = in_range;
            shared.take(weight(file, index, &rows, &instants, times)?)?;
            (instants, file.values(&index.rows, &rows).await?)
        }
        None => {
            let read = futures::try_join!(instants(timelines, &wanted), file.values(&index.rows, &rows))?;
            shared.take(weight(file, index, &rows, &read.0, times)?)?;
            read
        }
    };
    let mut reader = C::reader(&index.rows, fetched.pages);
    let mut pieces: Vec<Piece<C::Value>> = Vec::with_capacity(rows.len());
    let mut last: Option<(usize, Labels)> = None;
    for row in rows {
        let samples = clip(file, index, row, &instants, times)?;
        let row = row as usize;
        let (Some(place), false) = (index.rows.places.get(row), samples.is_empty()) else { continue };
        let with_values = samples.start..samples.end.min(place.n);
        let values = C::get(&mut reader, row, with_values).map_err(|reason| file.corrupt(reason))?;
        let mut values = Run::Common(values);
        if samples.end > place.n {
            values.extend(&[C::marker()]);
        }
        let timestamps = instants.get(&place.tl).and_then(|all| shared.get(&place, all, samples));
        let timestamps = timestamps.ok_or_else(|| file.corrupt("a timeline is missing"))?;
        let labels = match last.as_ref().filter(|last| index.labels.same_series(last.0, row)) {
            Some((_, labels)) => labels.clone(),
            None => index.labels.labels(row).ok_or_else(|| file.corrupt("a row has no labels"))?,
        };
        last = Some((row, labels.clone()));
        pieces.push(Piece { labels, timestamps: Run::Common(timestamps), values });
    }
    drop(fetched.permit);
    Ok(pieces)
}

/// What the samples of `rows` within `times` weigh in a limit on samples.
fn weight<C: Values>(
    file: &RowsFile<C>,
    index: &GroupIndex<C>,
    rows: &[u32],
    instants: &Instants,
    times: (TimestampMs, TimestampMs),
) -> Result<u64, BlockError> {
    let mut samples = 0u64;
    for row in rows {
        let count = clip(file, index, *row, instants, times)?.len();
        samples += count.saturating_mul(index.rows.columns.weight(*row as usize)) as u64;
    }
    Ok(samples)
}

/// Which samples of a row, its stale marker included, are within `times`.
pub(super) fn clip<C: Values>(
    file: &RowsFile<C>,
    index: &GroupIndex<C>,
    row: u32,
    instants: &Instants,
    times: (TimestampMs, TimestampMs),
) -> Result<Range<usize>, BlockError> {
    let samples = index.rows.places.get(row as usize).and_then(|place| place.clip(instants, times));
    samples.ok_or_else(|| file.corrupt("a row is longer than its timeline"))
}
