//! What an exposition says of a metric family.

/// The type of a metric family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricType {
    /// `untyped` or `unknown`, or no type at all.
    #[default]
    Unknown,
    /// `counter`
    Counter,
    /// `gauge`
    Gauge,
    /// `histogram`
    Histogram,
    /// `summary`
    Summary,
    /// `gaugehistogram`, of OpenMetrics.
    GaugeHistogram,
    /// `info`, of OpenMetrics.
    Info,
    /// `stateset`, of OpenMetrics.
    StateSet,
}

impl MetricType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::Summary,
        Self::GaugeHistogram,
        Self::Info,
        Self::StateSet,
    ];

    /// The type's name in Prometheus's metadata API, which is OpenMetrics's.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    /// The type with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Type, help and unit of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metadata {
    /// Name of the family: without `_bucket`, `_sum`, `_count`.
    pub metric_family: String,
    /// Its type.
    pub kind: MetricType,
    /// What it means, in words; may be empty.
    pub help: String,
    /// Its unit; may be empty.
    pub unit: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_types_correspond() {
        for kind in MetricType::ALL {
            assert_eq!(MetricType::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(MetricType::from_name("untyped"), None);
    }
}
