//! Relabelling: `relabel_configs`, `metric_relabel_configs`, `alert_relabel_configs`. Source:
//! `model/relabel/relabel.go` of Prometheus.

use crate::regex::AnchoredRegex;

/// What a relabelling step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelabelAction {
    /// Sets the target label to the replacement where the regex matches.
    Replace,
    /// Keeps what matches.
    Keep,
    /// Drops what matches.
    Drop,
    /// Keeps where the target label equals the joined source labels.
    KeepEqual,
    /// Drops where it does.
    DropEqual,
    /// Sets the target label to a hash modulo the modulus.
    HashMod,
    /// Copies labels whose name matches to the replacement's name.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets the target label to the joined source labels in lower case.
    Lowercase,
    /// Sets the target label to the joined source labels in upper case.
    Uppercase,
}

/// One relabelling step.
#[derive(Clone, Debug)]
pub struct RelabelConfig {
    /// `source_labels`.
    pub source_labels: Vec<String>,
    /// `separator`, `;` by default.
    pub separator: String,
    /// `regex`, `(.*)` by default.
    pub regex: AnchoredRegex,
    /// The regex as written.
    pub regex_text: String,
    /// `modulus`, for `hashmod`.
    pub modulus: u64,
    /// `target_label`.
    pub target_label: String,
    /// `replacement`, `$1` by default.
    pub replacement: String,
    /// `action`, `replace` by default.
    pub action: RelabelAction,
}

impl PartialEq for RelabelConfig {
    fn eq(&self, other: &Self) -> bool {
        let fields = |c: &Self| {
            (
                c.source_labels.clone(),
                c.separator.clone(),
                c.regex_text.clone(),
                c.modulus,
                c.target_label.clone(),
                c.replacement.clone(),
                c.action,
            )
        };
        fields(self) == fields(other)
    }
}
