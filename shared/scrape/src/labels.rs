//! From the labels that a target exposes to those that are stored. Source: `mutateSampleLabels`,
//! `resolveConflictingExposedLabels` and `verifyLabelLimits` of Prometheus.

use model::labels::{METRIC_NAME, quote};
use model::relabel::{self, RelabelConfig};
use model::{Labels, LabelsBuilder};
use textparse::{ExposedLabel, Series};

use crate::error::ScrapeError;

/// What a label of the target's is renamed by where the scrape exposes one of that name.
const EXPORTED_PREFIX: &str = "exported_";
/// How much of a name or value an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 50;

/// Everything that decides, besides its text, which labels a series ends up with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recipe {
    pub(crate) target: Labels,
    pub(crate) honor_labels: bool,
    pub(crate) relabel_configs: Vec<RelabelConfig>,
    pub(crate) labels_max: u64,
    pub(crate) label_name_bytes_max: u64,
    pub(crate) label_value_bytes_max: u64,
}

impl Recipe {
    /// The labels of a series; `None` where relabelling drops it.
    pub(crate) fn labels_of(&self, series: &Series<'_>) -> Result<Option<Labels>, ScrapeError> {
        let mut exposed = Vec::new();
        series.labels(&mut exposed)?;
        exposed.sort_by(|a, b| a.name.cmp(&b.name));
        let (mut builder, twice) = without_duplicates(&exposed);
        if self.honor_labels {
            self.add_absent_target_labels(&exposed, &mut builder);
        } else {
            self.set_target_labels(&exposed, &mut builder);
        }
        if !relabel::process_builder(&mut builder, &self.relabel_configs) {
            return Ok(None);
        }
        let labels = builder.build();
        if labels.is_empty() {
            return Ok(None);
        }
        if labels.get(METRIC_NAME).is_none() {
            return Err(ScrapeError::NameMissing);
        }
        if labels.get("").is_some() {
            return Err(ScrapeError::InvalidLabels(labels.to_string()));
        }
        self.check_limits(&labels)?;
        match twice {
            // What relabelling or a target label has replaced is no longer there twice.
            Some(label) if labels.get(&label.name) == Some(&label.value) => {
                Err(ScrapeError::DuplicateLabel(label.name.clone().into_owned()))
            }
            _ => Ok(Some(labels)),
        }
    }

    /// A label that is exposed wins, even with an empty value.
    fn add_absent_target_labels(&self, exposed: &[ExposedLabel<'_>], builder: &mut LabelsBuilder) {
        for (name, value) in &self.target {
            if exposed_value(exposed, name).is_none() {
                builder.set(name, value);
            }
        }
    }

    /// A label of the target wins; what is exposed under its name moves to `exported_<name>`.
    fn set_target_labels(&self, exposed: &[ExposedLabel<'_>], builder: &mut LabelsBuilder) {
        let mut conflicts = Vec::new();
        for (name, value) in &self.target {
            conflicts.extend(
                exposed_value(exposed, name).filter(|value| !value.is_empty()).map(|value| (name, value)),
            );
            builder.set(name, value);
        }
        conflicts.sort_by_key(|(name, _)| name.len());
        for (name, value) in conflicts {
            let mut exported = format!("{EXPORTED_PREFIX}{name}");
            while !builder.value(&exported).is_empty() {
                exported.insert_str(0, EXPORTED_PREFIX);
            }
            builder.set(exported, value);
        }
    }

    fn check_limits(&self, labels: &Labels) -> Result<(), ScrapeError> {
        let exceeds = |length: usize, limit: u64| limit > 0 && length as u64 > limit;
        let metric = || shown(labels.metric_name());
        if self.labels_max > 0 && exceeds(labels.len(), self.labels_max) {
            return Err(ScrapeError::LabelLimit {
                metric: metric(),
                labels: labels.len() as u64,
                limit: self.labels_max,
            });
        }
        for (name, value) in labels {
            if exceeds(name.len(), self.label_name_bytes_max) {
                return Err(ScrapeError::LabelNameLengthLimit {
                    metric: metric(),
                    name: shown(name),
                    length: name.len() as u64,
                    limit: self.label_name_bytes_max,
                });
            }
            if exceeds(value.len(), self.label_value_bytes_max) {
                return Err(ScrapeError::LabelValueLengthLimit {
                    metric: metric(),
                    name: shown(name),
                    value: quote(&shown(value)),
                    length: value.len() as u64,
                    limit: self.label_value_bytes_max,
                });
            }
        }
        Ok(())
    }
}

/// The sorted labels as a set, the first of a name winning; and one that occurs twice. A name that occurs twice, once
/// with an empty value, is gone altogether, as in Prometheus.
fn without_duplicates<'e, 'a>(
    exposed: &'e [ExposedLabel<'a>],
) -> (LabelsBuilder, Option<&'e ExposedLabel<'a>>) {
    let mut builder = LabelsBuilder::new();
    let mut twice = None;
    for group in exposed.chunk_by(|a, b| a.name == b.name) {
        let Some(first) = group.first() else { continue };
        if group.iter().any(|label| label.value.is_empty()) {
            continue;
        }
        if group.len() > 1 {
            twice = twice.or(Some(first));
        }
        builder.set(first.name.as_ref(), first.value.as_ref());
    }
    (builder, twice)
}

fn exposed_value<'e>(exposed: &'e [ExposedLabel<'_>], name: &str) -> Option<&'e str> {
    let at = exposed.partition_point(|label| *label.name < *name);
    exposed.get(at).filter(|label| label.name == name).map(|label| label.value.as_ref())
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
