//! Exemplars: single observations that stand for what a series counts.

use crate::{Labels, TimestampMs};

/// Most characters of an exemplar's label names and values together. Source: OpenMetrics, `exemplar.ExemplarMaxLabelSetLength`.
pub const LABEL_CHARACTERS_MAX: usize = 128;

/// One observation, most often with the id of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Labels of its own, such as `trace_id`; not those of the series.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// When, ms.
    pub timestamp: TimestampMs,
}
