//! Reads row groups of a samples file: index columns whole, value columns by page.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::lock::Mutex;
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

use super::footer::{Footer, Group, PageLocation};
use super::page::{Levels, ListItem, ListReader, Rows, read_chunk};
use super::schema::samples;
use super::source::Source;
use super::types::BlockError;
use super::values::Scale;

/// A samples file, open.
pub(super) struct SamplesFile {
    source: Source,
    footer: Footer,
    indexes: Vec<Mutex<Option<Arc<GroupIndex>>>>,
}

/// The index columns of a row group, decoded, and where its value pages are.
#[derive(Debug)]
pub(super) struct GroupIndex {
    pub(super) rows: Vec<RowIndex>,
    m: Vec<PageLocation>,
    r: Vec<PageLocation>,
    f: Vec<PageLocation>,
}

/// What the index columns say of a row.
#[derive(Clone, Debug)]
pub(super) struct RowIndex {
    pub(super) labels: Labels,
    pub(super) tl: i64,
    /// Index of the first instant in the timeline.
    pub(super) start: usize,
    /// Number of samples, without the stale marker.
    pub(super) n: usize,
    /// Whether a stale marker comes after them.
    pub(super) stale: bool,
    pub(super) form: Form,
}

/// Where a row's values are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Constant(f64),
    Scaled(Scale),
    ScaledWithResidual(Scale, f64),
    Raw,
    /// There are none.
    Empty,
}

/// The value pages of some rows, not yet decoded.
pub(super) struct ValuePages<'a> {
    index: &'a GroupIndex,
    m: PageReader<'a, i64>,
    r: PageReader<'a, i64>,
    f: PageReader<'a, f64>,
    /// Constant values by bits and number: many rows are zeros alone, and share them.
    constants: BTreeMap<(u64, usize), Arc<[f64]>>,
}

impl SamplesFile {
    pub(super) fn new(source: Source, footer: Footer) -> Self {
        let indexes = footer.groups.iter().map(|_| Mutex::new(None)).collect();
        Self { source, footer, indexes }
    }

    pub(super) fn corrupt(&self, reason: &str) -> BlockError {
        self.source.corrupt(reason)
    }

    pub(super) fn group_count(&self) -> usize {
        self.footer.groups.len()
    }

    /// Least and greatest metric name of a row group, or bounds of them.
    pub(super) fn metric_bounds(&self, group: usize) -> Option<(&[u8], &[u8])> {
        let (min, max) = self.footer.groups.get(group)?.columns.get(samples::METRIC)?.bounds.as_ref()?;
        Some((min, max))
    }

    /// The index of a row group, kept once it is read if `keep`.
    pub(super) async fn index(&self, group: usize, keep: bool) -> Result<Arc<GroupIndex>, BlockError> {
        let (Some(slot), Some(meta)) = (self.indexes.get(group), self.footer.groups.get(group)) else {
            return Err(self.source.corrupt("a row group is missing"));
        };
        let mut slot = slot.lock().await;
        if let Some(index) = &*slot {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(self.read_index(meta).await?);
        if keep {
            *slot = Some(Arc::clone(&index));
        }
        Ok(index)
    }

    async fn read_index(&self, group: &Group) -> Result<GroupIndex, BlockError> {
        let corrupt = |reason: &str| self.source.corrupt(reason);
        let columns = group.columns.get(..samples::M).ok_or_else(|| corrupt("a column is missing"))?;
        let values = samples::M..samples::COUNT;
        let pages = group.offset_indexes(values.clone()).ok_or_else(|| corrupt("a column is missing"))?;
        let mut ranges: Vec<Range<u64>> = columns.iter().map(|chunk| chunk.bytes.clone()).collect();
        ranges.push(pages);
        // The writer puts the columns in this order; a file that does not is not ours.
        if !ranges.is_sorted_by_key(|range| range.start) {
            return Err(corrupt("the columns are not in order"));
        }
        let bytes = self.source.read_all(&ranges).await?;
        let (pages, columns) = bytes.split_last().ok_or_else(|| corrupt("a range is missing"))?;
        let mut locations = group.page_locations(values, pages).map_err(corrupt)?.into_iter();
        let rows = read_rows(columns, group.rows).map_err(corrupt)?;
        let mut next = || locations.next().unwrap_or_default();
        Ok(GroupIndex { rows, m: next(), r: next(), f: next() })
    }

    /// Fetches the pages that hold the values of `rows`, indexes into `index.rows` in ascending order.
    pub(super) async fn values<'a>(
        &'a self,
        index: &'a GroupIndex,
        rows: &[usize],
    ) -> Result<ValuePages<'a>, BlockError> {
        let form = |row: usize| index.rows.get(row).map_or(Form::Empty, |row| row.form);
        let m = wanted_pages(&index.m, rows, |row| {
            matches!(form(row), Form::Scaled(_) | Form::ScaledWithResidual(..))
        });
        let r = wanted_pages(&index.r, rows, |row| matches!(form(row), Form::ScaledWithResidual(..)));
        let f = wanted_pages(&index.f, rows, |row| matches!(form(row), Form::Raw));
        let mut ranges = Vec::with_capacity(m.len() + r.len() + f.len());
        for (locations, pages) in [(&index.m, &m), (&index.r, &r), (&index.f, &f)] {
            ranges
                .extend(pages.iter().filter_map(|page| locations.get(*page)).map(|page| page.bytes.clone()));
        }
        let mut fetched = self.source.read_all(&ranges).await?.into_iter();
        let m_bytes = m.into_iter().zip(fetched.by_ref()).collect();
        let (r_len, f_pages) = (r.len(), f);
        let r_bytes = r.into_iter().zip(fetched.by_ref().take(r_len)).collect();
        let f_bytes = f_pages.into_iter().zip(fetched).collect();
        let readers = || {
            let m = PageReader::new(&index.m, m_bytes)?;
            let (r, f) = (PageReader::new(&index.r, r_bytes)?, PageReader::new(&index.f, f_bytes)?);
            Ok(ValuePages { index, m, r, f, constants: BTreeMap::new() })
        };
        readers().map_err(|reason| self.corrupt(reason))
    }
}

/// The pages, by index, that the rows have values in which satisfy `is_wanted`.
fn wanted_pages(pages: &[PageLocation], rows: &[usize], is_wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut wanted: Vec<usize> = Vec::new();
    for row in rows.iter().filter(|row| is_wanted(**row)) {
        let page = pages.partition_point(|page| page.rows.end <= *row);
        if wanted.last() != Some(&page) {
            wanted.push(page);
        }
    }
    wanted
}

impl ValuePages<'_> {
    /// The samples `range` of the values of `row`, which must not be less than the rows asked before.
    pub(super) fn get(&mut self, row: usize, range: Range<usize>) -> Result<Arc<[f64]>, &'static str> {
        const MISSING: &str = "the values of a row are missing";
        let meta = self.index.rows.get(row).ok_or(MISSING)?;
        match meta.form {
            Form::Empty => Ok(Arc::default()),
            Form::Constant(value) => {
                let make = || std::iter::repeat_n(value, range.len()).collect();
                Ok(Arc::clone(self.constants.entry((value.to_bits(), range.len())).or_insert_with(make)))
            }
            Form::Raw => Ok(self.f.get(row, meta.n)?.get(range).ok_or(MISSING)?.into()),
            Form::Scaled(scale) => {
                let m = self.m.get(row, meta.n)?.get(range).ok_or(MISSING)?;
                Ok(scale.values(m))
            }
            Form::ScaledWithResidual(scale, ulp) => {
                let m = self.m.get(row, meta.n)?.get(range.clone()).ok_or(MISSING)?;
                let r = self.r.get(row, meta.n)?.get(range).ok_or(MISSING)?;
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
    fn new(locations: &'a [PageLocation], bytes: BTreeMap<usize, Bytes>) -> Result<Self, &'static str> {
        Ok(Self { locations, bytes, reader: ListReader::new()?, decoded: 0..0 })
    }

    /// The list of `row`, which must have `n` values.
    fn get(&mut self, row: usize, n: usize) -> Result<&[T], &'static str> {
        const MISSING: &str = "a value page is missing";
        if !self.decoded.contains(&row) {
            let page = self.locations.partition_point(|page| page.rows.end <= row);
            let location = self.locations.get(page).ok_or(MISSING)?;
            let bytes = self.bytes.remove(&page).ok_or(MISSING)?;
            self.decoded = 0..0;
            self.reader.read(&bytes, Levels::OPTIONAL_LIST, location.rows.len())?;
            self.decoded = location.rows.clone();
        }
        let list = row.checked_sub(self.decoded.start).and_then(|row| self.reader.rows().get(row));
        let list = list.ok_or(MISSING)?;
        if list.len() == n { Ok(list) } else { Err("a row has another number of values") }
    }
}

/// Decodes the index columns, each from its chunk.
fn read_rows(columns: &[Bytes], rows: usize) -> Result<Vec<RowIndex>, &'static str> {
    let chunk = |column: usize| columns.get(column).ok_or("a column is missing");
    let metrics = read_chunk::<Arc<str>>(chunk(samples::METRIC)?, Levels::REQUIRED, rows)?;
    let names = read_chunk::<Arc<str>>(chunk(samples::LABEL_NAME)?, Levels::LIST, rows)?;
    let values = read_chunk::<Arc<str>>(chunk(samples::LABEL_VALUE)?, Levels::LIST, rows)?;
    let tls = read_chunk::<i64>(chunk(samples::TL)?, Levels::REQUIRED, rows)?;
    let starts = read_chunk::<i32>(chunk(samples::START)?, Levels::REQUIRED, rows)?;
    let ns = read_chunk::<i32>(chunk(samples::N)?, Levels::REQUIRED, rows)?;
    let stales = read_chunk::<bool>(chunk(samples::STALE)?, Levels::REQUIRED, rows)?;
    let optional = |column: usize| read_chunk::<f64>(chunk(column)?, Levels::OPTIONAL, rows);
    let (muls, divs) = (optional(samples::MUL)?, optional(samples::DIV)?);
    let (ulps, constants) = (optional(samples::ULP)?, optional(samples::C)?);
    let mut read = Vec::with_capacity(rows);
    for row in 0..rows {
        const MALFORMED: &str = "a row is malformed";
        let n = usize::try_from(*one(&ns, row).ok_or(MALFORMED)?).map_err(|_| MALFORMED)?;
        let start = usize::try_from(*one(&starts, row).ok_or(MALFORMED)?).map_err(|_| MALFORMED)?;
        let scale = one(&muls, row).zip(one(&divs, row)).map(|(mul, div)| Scale { mul: *mul, div: *div });
        let form = match (n, one(&constants, row), scale, one(&ulps, row)) {
            (0, None, None, None) => Form::Empty,
            (1.., Some(constant), None, None) => Form::Constant(*constant),
            (1.., None, Some(scale), None) => Form::Scaled(scale),
            (1.., None, Some(scale), Some(ulp)) => Form::ScaledWithResidual(scale, *ulp),
            (1.., None, None, None) => Form::Raw,
            _ => return Err(MALFORMED),
        };
        let metric = one(&metrics, row).ok_or(MALFORMED)?;
        let (names, values) = (names.get(row).ok_or(MALFORMED)?, values.get(row).ok_or(MALFORMED)?);
        read.push(RowIndex {
            labels: build_labels(metric, names, values).ok_or(MALFORMED)?,
            tl: *one(&tls, row).ok_or(MALFORMED)?,
            start,
            n,
            stale: *one(&stales, row).ok_or(MALFORMED)?,
            form,
        });
    }
    Ok(read)
}

fn one<T>(rows: &Rows<T>, row: usize) -> Option<&T> {
    rows.get(row)?.first()
}

fn build_labels(metric: &str, names: &[Arc<str>], values: &[Arc<str>]) -> Option<Labels> {
    if names.len() != values.len() {
        return None;
    }
    let mut builder = LabelsBuilder::new();
    builder.set(METRIC_NAME, metric);
    for (name, value) in names.iter().zip(values) {
        builder.set(&**name, &**value);
    }
    Some(builder.build())
}
