//! What the release of Prometheus that Go's modules have answers otherwise than the later commit whose suite foxfire passes.
//!
//! The release is v0.314.0. A binary of that commit, named by `FOXFIRE_PROMETHEUS_ENGINE`, has none of these differences.

use crate::hunt::Found;

/// Whether the release is known to answer otherwise.
///
/// - `info()` lost the mark that a metric's name is to be dropped at the end.
/// - Annotations about NaN observations of native histograms stood at the function's first argument.
#[must_use]
pub fn answers_otherwise(found: &Found) -> bool {
    let query = &found.case.request.query;
    let drops_names_late = found.case.request.options.delayed_name_removal;
    (query.contains("info(") && drops_names_late && found.difference.starts_with("series: "))
        || (query.contains("histogram_")
            && found.difference.starts_with("infos: ")
            && found.difference.contains("NaN observations"))
}
