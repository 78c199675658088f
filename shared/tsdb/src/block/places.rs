//! Where the samples of a row group's rows are: timeline, first instant, number; and the form of their values.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use model::TimestampMs;

use super::instants::Instants;
use super::page::{Levels, Rows, read_chunk};
use super::schema::samples;
use super::texts::Numbers;
use super::values::Scale;

const MALFORMED: &str = "a row is malformed";

/// The columns `tl` to `stale`.
#[derive(Debug)]
pub(super) struct Places {
    tls: Vec<i64>,
    /// Which of `tls` each row's is.
    row_tls: Numbers,
    starts: Vec<u32>,
    ns: Vec<u32>,
    stales: Vec<bool>,
}

/// Where the samples of a row are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) tl: i64,
    /// Index of the first instant in the timeline.
    pub(super) start: usize,
    /// Number of samples, without the stale marker.
    pub(super) n: usize,
    /// Whether a stale marker comes after them.
    pub(super) stale: bool,
}

impl Place {
    /// Number of samples, the stale marker included.
    pub(super) fn len(&self) -> usize {
        self.n + usize::from(self.stale)
    }

    /// Which samples, the stale marker included, are within `times`; `None` where the row is longer than its timeline.
    pub(super) fn clip(
        &self,
        instants: &Instants,
        (min, max): (TimestampMs, TimestampMs),
    ) -> Option<Range<usize>> {
        let end = self.start.checked_add(self.len())?;
        let timestamps = instants.get(&self.tl)?.get(self.start..end)?;
        let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else { return Some(0..0) };
        let start = if *first >= min { 0 } else { timestamps.partition_point(|at| *at < min) };
        let end = if *last <= max { timestamps.len() } else { timestamps.partition_point(|at| *at <= max) };
        Some(start..end.max(start))
    }
}

impl Places {
    /// Decodes the columns, of all index columns.
    pub(super) fn read(columns: &[Bytes], rows: usize) -> Result<Self, &'static str> {
        let chunk = |column: usize| columns.get(column).ok_or("a column is missing");
        let all = read_chunk::<i64>(chunk(samples::TL)?, Levels::REQUIRED, rows)?.into_values();
        let mut known: BTreeMap<i64, u32> = BTreeMap::new();
        let mut tls = Vec::new();
        let mut row_tls = Vec::with_capacity(rows);
        let mut last: Option<(i64, u32)> = None;
        for tl in all {
            let id = match last.filter(|last| last.0 == tl) {
                Some((_, id)) => id,
                None => *known.entry(tl).or_insert_with(|| {
                    tls.push(tl);
                    (tls.len() - 1) as u32
                }),
            };
            last = Some((tl, id));
            row_tls.push(id);
        }
        let positive = |column: usize| -> Result<Vec<u32>, &'static str> {
            let values = read_chunk::<i32>(chunk(column)?, Levels::REQUIRED, rows)?.into_values();
            values.into_iter().map(|value| u32::try_from(value).map_err(|_| MALFORMED)).collect()
        };
        Ok(Self {
            row_tls: Numbers::new(row_tls, tls.len()),
            tls,
            starts: positive(samples::START)?,
            ns: positive(samples::N)?,
            stales: read_chunk::<bool>(chunk(samples::STALE)?, Levels::REQUIRED, rows)?.into_values(),
        })
    }

    pub(super) fn get(&self, row: usize) -> Option<Place> {
        Some(Place {
            tl: *self.tls.get(self.row_tls.get(row)? as usize)?,
            start: *self.starts.get(row)? as usize,
            n: *self.ns.get(row)? as usize,
            stale: *self.stales.get(row)?,
        })
    }

    pub(super) fn size_bytes(&self) -> usize {
        8 * self.tls.capacity()
            + self.row_tls.size_bytes()
            + 4 * (self.starts.capacity() + self.ns.capacity())
            + self.stales.capacity()
    }
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

/// The columns `mul` to `c`: the forms of a samples file's rows.
#[derive(Debug)]
pub(super) struct Forms {
    scales: Vec<Scale>,
    rows: Vec<(Kind, f64)>,
}

/// A form without its number, which is the constant or the ulp.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Constant,
    /// With the number of its scale.
    Scaled(u32),
    ScaledWithResidual(u32),
    Raw,
    Empty,
}

impl Forms {
    /// Decodes the columns, of all index columns.
    pub(super) fn read(columns: &[Bytes], rows: usize, places: &Places) -> Result<Self, &'static str> {
        let optional = |column: usize| {
            let bytes = columns.get(column).ok_or("a column is missing")?;
            read_chunk::<f64>(bytes, Levels::OPTIONAL, rows)
        };
        let (muls, divs) = (optional(samples::MUL)?, optional(samples::DIV)?);
        let (ulps, constants) = (optional(samples::ULP)?, optional(samples::C)?);
        let mut known: BTreeMap<(u64, u64), u32> = BTreeMap::new();
        let mut scales = Vec::new();
        let mut read = Vec::with_capacity(rows);
        for row in 0..rows {
            let scale = one(&muls, row).zip(one(&divs, row)).map(|(mul, div)| {
                *known.entry((mul.to_bits(), div.to_bits())).or_insert_with(|| {
                    scales.push(Scale { mul, div });
                    (scales.len() - 1) as u32
                })
            });
            let n = places.get(row).ok_or(MALFORMED)?.n;
            read.push(match (n, one(&constants, row), scale, one(&ulps, row)) {
                (0, None, None, None) => (Kind::Empty, 0.0),
                (1.., Some(constant), None, None) => (Kind::Constant, constant),
                (1.., None, Some(scale), None) => (Kind::Scaled(scale), 0.0),
                (1.., None, Some(scale), Some(ulp)) => (Kind::ScaledWithResidual(scale), ulp),
                (1.., None, None, None) => (Kind::Raw, 0.0),
                _ => return Err(MALFORMED),
            });
        }
        Ok(Self { scales, rows: read })
    }

    pub(super) fn get(&self, row: usize) -> Form {
        let scale = |at: u32| self.scales.get(at as usize).copied();
        let form = self.rows.get(row).and_then(|(kind, number)| match kind {
            Kind::Constant => Some(Form::Constant(*number)),
            Kind::Scaled(at) => scale(*at).map(Form::Scaled),
            Kind::ScaledWithResidual(at) => scale(*at).map(|scale| Form::ScaledWithResidual(scale, *number)),
            Kind::Raw => Some(Form::Raw),
            Kind::Empty => Some(Form::Empty),
        });
        form.unwrap_or(Form::Empty)
    }

    pub(super) fn size_bytes(&self) -> usize {
        16 * (self.scales.capacity() + self.rows.capacity())
    }
}

fn one(rows: &Rows<f64>, row: usize) -> Option<f64> {
    rows.get(row)?.first().copied()
}
