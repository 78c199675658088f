//! Values of the rows of a row group, by page.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::FloatHistogram;
use model::value::stale_nan;

use super::context::Permit;
use super::footer::PageLocation;
use super::histograms::HistogramRows;
use super::page::{Levels, ListItem, ListReader};
use super::places::{Form, Forms};
use super::rows::{Columns, RowIndex, RowsFile};
use super::types::BlockError;

/// The value columns of one kind of file.
pub(super) trait Values: Columns {
    /// A sample's value.
    type Value: Clone + Send + Sync;
    /// Decodes pages as rows are asked for.
    type Reader<'a>: Send;

    /// Whether `row` has values in the value column `column`, counted from 0.
    fn wants(&self, column: usize, row: usize) -> bool;

    /// How many samples one of `row` weighs in a limit on samples.
    fn weight(&self, row: usize) -> usize;

    /// A reader of fetched pages, by value column and number.
    fn reader(index: &RowIndex<Self>, pages: Vec<BTreeMap<usize, Bytes>>) -> Self::Reader<'_>;

    /// The samples `range` of the values of `row`, which must not be less than the rows asked before.
    fn get(
        reader: &mut Self::Reader<'_>,
        row: usize,
        range: Range<usize>,
    ) -> Result<Arc<[Self::Value]>, &'static str>;

    /// The stale marker.
    fn marker() -> Self::Value;
}

/// Pages that are fetched but not decoded, by value column and number.
pub(super) struct FetchedPages {
    pub(super) pages: Vec<BTreeMap<usize, Bytes>>,
    /// Held until they are decoded.
    pub(super) permit: Permit,
}

impl<C: Values> RowsFile<C> {
    /// Fetches the pages that hold the values of `rows`, ascending.
    pub(super) async fn values(&self, index: &RowIndex<C>, rows: &[u32]) -> Result<FetchedPages, BlockError> {
        let mut wanted: Vec<(usize, usize)> = Vec::new();
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (column, locations) in index.pages.iter().enumerate() {
            for page in wanted_pages(locations, rows, |row| index.columns.wants(column, row)) {
                let location = locations.get(page).ok_or_else(|| self.corrupt("a value page is missing"))?;
                wanted.push((column, page));
                ranges.push(location.bytes.clone());
            }
        }
        let permit = self.reserve(&ranges).await;
        let fetched = self.source.read_all(&ranges).await?;
        let mut pages = vec![BTreeMap::new(); index.pages.len()];
        for ((column, page), bytes) in wanted.into_iter().zip(fetched) {
            if let Some(pages) = pages.get_mut(column) {
                pages.insert(page, bytes);
            }
        }
        Ok(FetchedPages { pages, permit })
    }
}

/// The pages, by index, that the rows have values in which satisfy `is_wanted`.
fn wanted_pages(pages: &[PageLocation], rows: &[u32], is_wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut wanted: Vec<usize> = Vec::new();
    let mut end = 0;
    for row in rows.iter().map(|row| *row as usize) {
        if row < end || !is_wanted(row) {
            continue;
        }
        let page = pages.partition_point(|page| page.rows.end <= row);
        end = pages.get(page).map_or(usize::MAX, |page| page.rows.end);
        wanted.push(page);
    }
    wanted
}

impl Values for Forms {
    type Value = f64;
    type Reader<'a> = ValuePages<'a>;

    fn wants(&self, column: usize, row: usize) -> bool {
        match self.get(row) {
            Form::Scaled(_) => column == 0,
            Form::ScaledWithResidual(..) => column <= 1,
            Form::Raw => column == 2,
            Form::Constant(_) | Form::Empty => false,
        }
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn reader(index: &RowIndex<Self>, pages: Vec<BTreeMap<usize, Bytes>>) -> ValuePages<'_> {
        let mut pages = pages.into_iter();
        let mut next = || pages.next().unwrap_or_default();
        let locations = |column: usize| index.pages.get(column).map(Vec::as_slice).unwrap_or_default();
        ValuePages {
            index,
            m: PageReader::new(locations(0), next()),
            r: PageReader::new(locations(1), next()),
            f: PageReader::new(locations(2), next()),
            constants: BTreeMap::new(),
        }
    }

    fn get(reader: &mut ValuePages<'_>, row: usize, range: Range<usize>) -> Result<Arc<[f64]>, &'static str> {
        reader.get(row, range)
    }

    fn marker() -> f64 {
        stale_nan()
    }
}

impl Values for HistogramRows {
    type Value = Arc<FloatHistogram>;
    type Reader<'a> = HistogramPages<'a>;

    fn wants(&self, column: usize, row: usize) -> bool {
        // Which of the two columns of counts has a row's is found by looking.
        column < 3 && self.counts(row) > 0
    }

    fn weight(&self, row: usize) -> usize {
        self.weight(row)
    }

    fn reader(index: &RowIndex<Self>, pages: Vec<BTreeMap<usize, Bytes>>) -> HistogramPages<'_> {
        let mut pages = pages.into_iter();
        let mut next = || pages.next().unwrap_or_default();
        let locations = |column: usize| index.pages.get(column).map(Vec::as_slice).unwrap_or_default();
        HistogramPages {
            index,
            sum: PageReader::new(locations(0), next()),
            counts: PageReader::new(locations(1), next()),
            float_counts: PageReader::new(locations(2), next()),
        }
    }

    fn get(
        reader: &mut HistogramPages<'_>,
        row: usize,
        range: Range<usize>,
    ) -> Result<Arc<[Arc<FloatHistogram>]>, &'static str> {
        reader.get(row, range).map(Arc::from)
    }

    fn marker() -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram::stale())
    }
}

/// The value pages of some rows of histograms, not yet decoded.
pub(super) struct HistogramPages<'a> {
    index: &'a RowIndex<HistogramRows>,
    sum: PageReader<'a, f64>,
    counts: PageReader<'a, i64>,
    float_counts: PageReader<'a, f64>,
}

impl HistogramPages<'_> {
    fn get(&mut self, row: usize, range: Range<usize>) -> Result<Vec<Arc<FloatHistogram>>, &'static str> {
        const MISSING: &str = "the histograms of a row are missing";
        let n = self.index.places.get(row).ok_or(MISSING)?.n;
        let rows = &self.index.columns;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let counts = n.checked_mul(rows.counts(row)).ok_or(MISSING)?;
        let sum = self.sum.get(row, n)?;
        let integers = self.counts.list(row)?;
        let found = if integers.is_empty() {
            let floats = self.float_counts.get(row, counts)?;
            rows.histograms(row, n, range, sum, |at| floats.get(at).copied())
        } else if integers.len() == counts {
            rows.histograms(row, n, range, sum, |at| integers.get(at).map(|count| *count as f64))
        } else {
            None
        };
        found.ok_or("a row has another number of values")
    }
}

/// The value pages of some rows, not yet decoded.
pub(super) struct ValuePages<'a> {
    index: &'a RowIndex<Forms>,
    m: PageReader<'a, i64>,
    r: PageReader<'a, i64>,
    f: PageReader<'a, f64>,
    /// Constant values by bits and number: many rows are zeros alone, and share them.
    constants: BTreeMap<(u64, usize), Arc<[f64]>>,
}

impl ValuePages<'_> {
    fn get(&mut self, row: usize, range: Range<usize>) -> Result<Arc<[f64]>, &'static str> {
        const MISSING: &str = "the values of a row are missing";
        let n = self.index.places.get(row).ok_or(MISSING)?.n;
        match self.index.columns.get(row) {
            Form::Empty => Ok(Arc::default()),
            Form::Constant(value) => {
                let make = || std::iter::repeat_n(value, range.len()).collect();
                Ok(Arc::clone(self.constants.entry((value.to_bits(), range.len())).or_insert_with(make)))
            }
            Form::Raw => Ok(self.f.get(row, n)?.get(range).ok_or(MISSING)?.into()),
            Form::Scaled(scale) => Ok(scale.values(self.m.get(row, n)?.get(range).ok_or(MISSING)?)),
            Form::ScaledWithResidual(scale, ulp) => {
                let m = self.m.get(row, n)?.get(range.clone()).ok_or(MISSING)?;
                let r = self.r.get(row, n)?.get(range).ok_or(MISSING)?;
                Ok(scale.values_with_residuals(m, r, ulp))
            }
        }
    }
}

/// Pages of one value column; the one decoded last is kept.
struct PageReader<'a, T> {
    locations: &'a [PageLocation],
    bytes: BTreeMap<usize, Bytes>,
    reader: ListReader<T>,
    /// The rows that `reader` has.
    decoded: Range<usize>,
}

impl<'a, T: ListItem> PageReader<'a, T> {
    fn new(locations: &'a [PageLocation], bytes: BTreeMap<usize, Bytes>) -> Self {
        Self { locations, bytes, reader: ListReader::new(), decoded: 0..0 }
    }

    /// The list of `row`, which must have `n` values.
    fn get(&mut self, row: usize, n: usize) -> Result<&[T], &'static str> {
        let list = self.list(row)?;
        if list.len() == n { Ok(list) } else { Err("a row has another number of values") }
    }

    /// The list of `row`; empty where it is null.
    fn list(&mut self, row: usize) -> Result<&[T], &'static str> {
        const MISSING: &str = "a value page is missing";
        if !self.decoded.contains(&row) {
            let page = self.locations.partition_point(|page| page.rows.end <= row);
            let location = self.locations.get(page).ok_or(MISSING)?;
            let bytes = self.bytes.remove(&page).ok_or(MISSING)?;
            self.decoded = 0..0;
            self.reader.read(&bytes, Levels::OPTIONAL_LIST, location.rows.len())?;
            self.decoded = location.rows.clone();
        }
        row.checked_sub(self.decoded.start).and_then(|row| self.reader.rows().get(row)).ok_or(MISSING)
    }
}
