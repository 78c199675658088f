//! The values that templates work on: the part of Go's types that Prometheus's templates can reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::gotime;

/// What an alert's templates see: Prometheus's `AlertTemplateData`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertData {
    /// `.Labels`: of the sample, the metric name included.
    pub labels: Arc<BTreeMap<String, String>>,
    /// `.ExternalLabels`.
    pub external_labels: Arc<BTreeMap<String, String>>,
    /// `.ExternalURL`.
    pub external_url: String,
    /// `.Value`.
    pub value: f64,
}

/// One element of a query's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// `.Labels`.
    pub labels: Arc<BTreeMap<String, String>>,
    /// `.Value`.
    pub value: f64,
}

/// Which of Go's signed integer types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntKind {
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `time.Month`, which prints as a name.
    Month,
    /// `time.Weekday`, which prints as a name.
    Weekday,
}

/// Which of Go's unsigned integer types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UintKind {
    /// `uint8`
    Uint8,
    /// `uint64`
    Uint64,
}

/// A `map[string]interface {}`. It knows its size, for maps can share maps and so grow without bound in print.
#[derive(Clone, Debug, Default)]
pub struct AnyMap {
    entries: BTreeMap<String, Value>,
    weight: usize,
    depth: usize,
}

impl AnyMap {
    /// A map of these entries.
    #[must_use]
    pub fn new(entries: BTreeMap<String, Value>) -> Self {
        let weigh = |(name, value): (&String, &Value)| value.weight().saturating_add(name.len() + 2);
        let weight = entries.iter().map(weigh).fold(0, usize::saturating_add);
        let depth = entries.values().map(Value::depth).max().unwrap_or(0) + 1;
        Self { entries, weight, depth }
    }

    /// Its entries.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<String, Value> {
        &self.entries
    }
}

/// A value in a template.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value at all: a missing pipeline, a nil.
    Invalid,
    /// A nil inside an `interface {}`.
    NilInterface,
    /// A value that Go knows as `interface {}` until it is used.
    Interface(Box<Value>),
    /// `bool`
    Bool(bool),
    /// A signed integer.
    Int(i64, IntKind),
    /// An unsigned integer.
    Uint(u64, UintKind),
    /// `float64`
    Float(f64),
    /// `string`
    String(Arc<str>),
    /// `template.HTML`
    Html(Arc<str>),
    /// `map[string]string`
    StringMap(Arc<BTreeMap<String, String>>),
    /// `map[string]interface {}`
    Map(Arc<AnyMap>),
    /// A slice.
    List(Arc<[Value]>),
    /// The result of `query`.
    QueryResult(Arc<[Arc<Sample>]>),
    /// `*template.sample`
    Sample(Arc<Sample>),
    /// The data of an alert's templates.
    Alert(Arc<AlertData>),
    /// A time, ns since the epoch, UTC.
    Time {
        /// When.
        ns: i128,
        /// Whether it is a `*time.Time`.
        pointer: bool,
    },
    /// A duration in ns.
    Duration {
        /// How long.
        ns: i64,
        /// Whether it is a `*time.Duration`.
        pointer: bool,
    },
}

impl Value {
    /// A `string`.
    #[must_use]
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// An `int`.
    #[must_use]
    pub fn int(value: i64) -> Self {
        Self::Int(value, IntKind::Int)
    }

    /// An `int` of a length.
    pub(super) fn length(length: usize) -> Self {
        Self::int(i64::try_from(length).unwrap_or(i64::MAX))
    }

    /// The value without `interface {}` around it.
    pub(super) fn concrete(self) -> Self {
        match self {
            Self::Interface(inner) => inner.concrete(),
            Self::NilInterface => Self::Invalid,
            value => value,
        }
    }

    /// As [`Value::concrete`], by reference.
    pub(super) fn as_concrete(&self) -> &Self {
        match self {
            Self::Interface(inner) => inner.as_concrete(),
            Self::NilInterface => &Self::Invalid,
            value => value,
        }
    }

    /// About how many bytes it takes in print.
    pub(super) fn weight(&self) -> usize {
        let labels =
            |map: &BTreeMap<String, String>| map.iter().map(|(n, v)| n.len() + v.len() + 2).sum::<usize>();
        match self.as_concrete() {
            Self::String(text) | Self::Html(text) => text.len(),
            Self::StringMap(map) => labels(map),
            Self::Map(map) => map.weight,
            Self::List(list) => list.iter().map(Self::weight).fold(0, usize::saturating_add),
            Self::QueryResult(samples) => samples.iter().map(|sample| labels(&sample.labels) + 32).sum(),
            Self::Sample(sample) => labels(&sample.labels) + 32,
            Self::Alert(data) => {
                labels(&data.labels) + labels(&data.external_labels) + data.external_url.len()
            }
            _ => 32,
        }
    }

    /// How deep maps nest in it.
    pub(super) fn depth(&self) -> usize {
        match self.as_concrete() {
            Self::Map(map) => map.depth,
            _ => 0,
        }
    }

    /// Go's truth: not the zero of its type.
    pub(super) fn is_true(&self) -> bool {
        match self.as_concrete() {
            Self::Invalid | Self::NilInterface | Self::Interface(_) => false,
            Self::Bool(value) => *value,
            Self::Int(value, _) => *value != 0,
            Self::Uint(value, _) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::String(text) | Self::Html(text) => !text.is_empty(),
            Self::StringMap(map) => !map.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::QueryResult(samples) => !samples.is_empty(),
            Self::Duration { ns, pointer } => *pointer || *ns != 0,
            Self::Sample(_) | Self::Alert(_) | Self::Time { .. } => true,
        }
    }

    /// The name of its Go type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Invalid => "<nil>",
            Self::NilInterface | Self::Interface(_) => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(_, IntKind::Int) => "int",
            Self::Int(_, IntKind::Int64) => "int64",
            Self::Int(_, IntKind::Month) => "time.Month",
            Self::Int(_, IntKind::Weekday) => "time.Weekday",
            Self::Uint(_, UintKind::Uint8) => "uint8",
            Self::Uint(_, UintKind::Uint64) => "uint64",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::StringMap(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::List(_) => "[]interface {}",
            Self::QueryResult(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::Alert(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value \
                 interface {} }"
            }
            Self::Time { pointer: true, .. } => "*time.Time",
            Self::Time { pointer: false, .. } => "time.Time",
            Self::Duration { pointer: true, .. } => "*time.Duration",
            Self::Duration { pointer: false, .. } => "time.Duration",
        }
    }

    /// What Go's `fmt.Stringer` would print, for the types that are one.
    pub(super) fn stringer(&self) -> Option<String> {
        match self {
            Self::Int(month, IntKind::Month) => Some(gotime::month_name(*month)),
            Self::Int(day, IntKind::Weekday) => Some(gotime::weekday_name(*day)),
            Self::Time { ns, .. } => Some(gotime::time_string(*ns)),
            Self::Duration { ns, .. } => Some(gotime::duration_string(*ns)),
            _ => None,
        }
    }

    /// A field of a struct or an entry of a map; `None` where the type has no such thing. Unknown keys of a map give
    /// the zero of its elements (`missingkey=zero`).
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        match self.as_concrete() {
            Self::StringMap(map) => Some(Self::string(map.get(name).map_or("", String::as_str))),
            Self::Map(map) => Some(match map.entries.get(name) {
                None | Some(Self::Invalid) => Self::NilInterface,
                Some(value) => Self::Interface(Box::new(value.clone())),
            }),
            Self::Sample(sample) => match name {
                "Labels" => Some(Self::StringMap(Arc::clone(&sample.labels))),
                "Value" => Some(Self::Interface(Box::new(Self::Float(sample.value)))),
                _ => None,
            },
            Self::Alert(data) => match name {
                "Labels" => Some(Self::StringMap(Arc::clone(&data.labels))),
                "ExternalLabels" => Some(Self::StringMap(Arc::clone(&data.external_labels))),
                "ExternalURL" => Some(Self::string(data.external_url.as_str())),
                "Value" => Some(Self::Interface(Box::new(Self::Float(data.value)))),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<AlertData> for Value {
    fn from(data: AlertData) -> Self {
        Self::Alert(Arc::new(data))
    }
}
