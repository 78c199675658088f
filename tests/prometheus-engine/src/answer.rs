//! What is asked and answered. Floats travel as their bits, so that every NaN arrives as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A request: the samples from now on, or a query of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Request {
    /// The samples from now on; nothing else is then asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Vec<Series>>,
    /// The query.
    pub query: String,
    /// First instant, or the only one, ms.
    pub start: i64,
    /// Last instant at most, ms.
    pub end: i64,
    /// Distance of instants, ms; 0 for one instant.
    pub step: i64,
    /// How the engine is set up.
    pub options: Options,
}

/// How the engine is set up. Everything experimental is on, the lookback is 5 minutes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Options {
    /// `promql-delayed-name-removal`
    pub delayed_name_removal: bool,
    /// `use-start-timestamps`
    pub start_timestamps: bool,
    /// At most so many samples in memory.
    pub max_samples: u64,
    /// Statistics for each step.
    pub per_step_stats: bool,
}

/// A stored series: at each instant a float, or a histogram where there is one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Instants, ms, increasing.
    pub t: Vec<i64>,
    /// Floats at those.
    #[serde(serialize_with = "write_all")]
    pub f: Vec<f64>,
    /// Histograms at those; empty where all are floats.
    pub h: Vec<Option<Histogram>>,
    /// Start timestamps of those, ms; empty where all are unknown.
    pub st: Vec<i64>,
}

/// A native histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Counter reset hint: 0 unknown, 1 reset, 2 not reset, 3 gauge.
    pub hint: u8,
    /// Schema; -53 for custom buckets.
    pub schema: i32,
    /// Width of the zero bucket.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub zt: f64,
    /// Count of the zero bucket.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub zc: f64,
    /// Count of all observations.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub count: f64,
    /// Sum of all observations.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub sum: f64,
    /// Positive spans: offset, length.
    #[serde(default, deserialize_with = "list")]
    pub ps: Vec<(i64, i64)>,
    /// Negative spans.
    #[serde(default, deserialize_with = "list")]
    pub ns: Vec<(i64, i64)>,
    /// Positive buckets.
    #[serde(default, serialize_with = "write_all", deserialize_with = "read_all")]
    pub pb: Vec<f64>,
    /// Negative buckets.
    #[serde(default, serialize_with = "write_all", deserialize_with = "read_all")]
    pub nb: Vec<f64>,
    /// Bounds of custom buckets.
    #[serde(default, serialize_with = "write_all", deserialize_with = "read_all")]
    pub cv: Vec<f64>,
}

/// A sample of a result.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Point {
    /// When, ms.
    pub t: i64,
    /// What, where it is no histogram.
    #[serde(deserialize_with = "read")]
    pub f: f64,
    /// What, where it is one.
    #[serde(default)]
    pub h: Option<Histogram>,
}

/// A series of a result.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ResultSeries {
    /// Its labels.
    #[serde(default, deserialize_with = "map")]
    pub labels: BTreeMap<String, String>,
    /// Its samples: floats in order of time, then histograms.
    pub points: Vec<Point>,
}

/// What a query gives.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Why there is no result; empty where there is one.
    pub error: String,
    /// `scalar`, `string`, `vector` or `matrix`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The string, quoted.
    pub text: String,
    /// The series; a scalar is one without labels.
    pub series: Vec<ResultSeries>,
    /// Warnings with positions.
    pub warnings: Vec<String>,
    /// Remarks with positions.
    pub infos: Vec<String>,
    /// Samples read by all selectors at all steps.
    pub total: i64,
    /// Samples held at most.
    pub peak: i64,
    /// Samples read a step, where that was asked for.
    pub per_step: Vec<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn write<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(value.to_bits())
}

fn write_all<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(|value| value.to_bits()))
}

fn read<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    u64::deserialize(from).map(f64::from_bits)
}

fn read_all<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    // Go writes an empty slice as null.
    let bits = Option::<Vec<u64>>::deserialize(from)?;
    Ok(bits.unwrap_or_default().into_iter().map(f64::from_bits).collect())
}

fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(i64, i64)>, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

fn map<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
