//! Relabelling: `relabel_configs`, `metric_relabel_configs`, `alert_relabel_configs`. Source:
//! `model/relabel/relabel.go` of Prometheus.

use std::fmt;
use std::sync::LazyLock;

use crate::labels::{Labels, LabelsBuilder, NameValidation, quote};
use crate::md5;
use crate::regex::AnchoredRegex;

/// `separator` where none is set.
pub const DEFAULT_SEPARATOR: &str = ";";
/// `regex` where none is set.
pub const DEFAULT_REGEX: &str = "(.*)";
/// `replacement` where none is set.
pub const DEFAULT_REPLACEMENT: &str = "$1";

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

impl RelabelAction {
    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    /// Reads a name in any case.
    ///
    /// # Errors
    /// Where there is no such action.
    pub fn parse(text: &str) -> Result<Self, RelabelError> {
        let lower = text.to_lowercase();
        let known = Self::ALL.into_iter().find(|action| action.as_str() == lower);
        known.ok_or_else(|| RelabelError::UnknownAction(quote(text)))
    }
}

impl fmt::Display for RelabelAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a relabelling step is refused, in Prometheus's words. Texts are quoted already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    /// `action` is none of the known ones.
    #[error("unknown relabel action {0}")]
    UnknownAction(String),
    /// `action` is null.
    #[error("relabel action cannot be empty")]
    EmptyAction,
    /// `hashmod` without `modulus`.
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    ZeroModulus,
    /// An action that sets or compares a label, without `target_label`.
    #[error("relabel configuration for {0} action requires 'target_label' value")]
    NoTargetLabel(RelabelAction),
    /// A field that is no label name.
    #[error("{value} is invalid '{field}' for {action} action")]
    InvalidName {
        /// What is written.
        value: String,
        /// `target_label` or `replacement`.
        field: &'static str,
        /// The step's action.
        action: RelabelAction,
    },
    /// `replacement` where it has no meaning.
    #[error("'replacement' can not be set for {0} action")]
    ReplacementSet(RelabelAction),
    /// `keepequal` or `dropequal` with other fields.
    #[error("{0} action requires only 'source_labels' and `target_label`, and no other fields")]
    OnlyEqualFields(RelabelAction),
    /// `labeldrop` or `labelkeep` with other fields.
    #[error("{0} action requires only 'regex', and no other fields")]
    OnlyRegex(RelabelAction),
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

impl Default for RelabelConfig {
    /// A step that sets nothing, not even its target label.
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: DEFAULT_SEPARATOR.to_owned(),
            regex: MATCH_ALL.clone(),
            regex_text: DEFAULT_REGEX.to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: DEFAULT_REPLACEMENT.to_owned(),
            action: RelabelAction::Replace,
        }
    }
}

impl PartialEq for RelabelConfig {
    fn eq(&self, other: &Self) -> bool {
        // The compiled expression is a function of its text.
        self.source_labels == other.source_labels
            && self.separator == other.separator
            && self.regex_text == other.regex_text
            && self.modulus == other.modulus
            && self.target_label == other.target_label
            && self.replacement == other.replacement
            && self.action == other.action
    }
}

impl RelabelConfig {
    /// Whether the fields make sense together.
    ///
    /// # Errors
    /// [`RelabelError`], the first in Prometheus's order.
    pub fn validate(&self, names: NameValidation) -> Result<(), RelabelError> {
        use RelabelAction::{
            DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase,
        };
        let action = self.action;
        let sets_target = matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
        if self.modulus == 0 && action == HashMod {
            return Err(RelabelError::ZeroModulus);
        }
        if sets_target && self.target_label.is_empty() {
            return Err(RelabelError::NoTargetLabel(action));
        }
        let templated = action == Replace && has_variable(&self.target_label);
        let target_is_valid = if templated {
            is_name_template(&self.target_label, names)
        } else {
            names.is_label_name(&self.target_label)
        };
        let invalid = |value: &str, field| RelabelError::InvalidName { value: quote(value), field, action };
        if sets_target && action != HashMod && !target_is_valid {
            return Err(invalid(&self.target_label, "target_label"));
        }
        let replaces = self.replacement != DEFAULT_REPLACEMENT;
        if replaces && matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual) {
            return Err(RelabelError::ReplacementSet(action));
        }
        if action == LabelMap && !is_name_template(&self.replacement, names) {
            return Err(invalid(&self.replacement, "replacement"));
        }
        if action == HashMod && !target_is_valid {
            return Err(invalid(&self.target_label, "target_label"));
        }
        let others = self.modulus != 0 || self.separator != DEFAULT_SEPARATOR || replaces;
        if matches!(action, KeepEqual | DropEqual) && (others || self.regex_text != DEFAULT_REGEX) {
            return Err(RelabelError::OnlyEqualFields(action));
        }
        if matches!(action, LabelDrop | LabelKeep)
            && (others || !self.source_labels.is_empty() || !self.target_label.is_empty())
        {
            return Err(RelabelError::OnlyRegex(action));
        }
        Ok(())
    }
}

/// Applies `configs` in order; `None` where one of them drops the labels.
#[must_use]
pub fn process(labels: &Labels, configs: &[RelabelConfig]) -> Option<Labels> {
    if configs.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = labels.to_builder();
    process_builder(&mut builder, configs).then(|| builder.build())
}

/// As [`process`], in place. Whether the labels are kept; where not, `builder` holds what the dropping step saw.
pub fn process_builder(builder: &mut LabelsBuilder, configs: &[RelabelConfig]) -> bool {
    configs.iter().all(|config| step(builder, config))
}

fn step(builder: &mut LabelsBuilder, config: &RelabelConfig) -> bool {
    let value = joined(builder, config);
    match config.action {
        RelabelAction::Drop => return !config.regex.is_match(&value),
        RelabelAction::Keep => return config.regex.is_match(&value),
        RelabelAction::DropEqual => return builder.value(&config.target_label) != value,
        RelabelAction::KeepEqual => return builder.value(&config.target_label) == value,
        RelabelAction::Replace => replace(builder, config, &value),
        RelabelAction::Lowercase => {
            builder.set(config.target_label.as_str(), to_lower(&value));
        }
        RelabelAction::Uppercase => {
            builder.set(config.target_label.as_str(), to_upper(&value));
        }
        RelabelAction::HashMod => {
            // A modulus of 0 does not pass validation.
            let hash = md5::low_u64(value.as_bytes()) % config.modulus.max(1);
            builder.set(config.target_label.as_str(), hash.to_string());
        }
        RelabelAction::LabelMap => label_map(builder, config),
        RelabelAction::LabelDrop => {
            builder.retain(|name, _| !config.regex.is_match(name));
        }
        RelabelAction::LabelKeep => {
            builder.retain(|name, _| config.regex.is_match(name));
        }
    }
    true
}

fn joined(builder: &LabelsBuilder, config: &RelabelConfig) -> String {
    let mut out = String::new();
    for (index, name) in config.source_labels.iter().enumerate() {
        if index > 0 {
            out.push_str(&config.separator);
        }
        out.push_str(builder.value(name));
    }
    out
}

fn replace(builder: &mut LabelsBuilder, config: &RelabelConfig, value: &str) {
    let Some(target) = config.regex.expand(value, &config.target_label) else { return };
    if target.is_empty() {
        return;
    }
    if let Some(replacement) = config.regex.expand(value, &config.replacement) {
        builder.set(target, replacement);
    }
}

fn label_map(builder: &mut LabelsBuilder, config: &RelabelConfig) {
    let mapped: Vec<(String, String)> = builder
        .iter()
        .filter_map(|(name, value)| Some((config.regex.expand(name, &config.replacement)?, value.to_owned())))
        .collect();
    for (name, value) in mapped {
        builder.set(name, value);
    }
}

/// Go's `strings.ToLower`: character by character, without Unicode's special casing.
fn to_lower(text: &str) -> String {
    // Only İ has a lower case of two characters; the first is its simple one.
    text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

/// Go's `strings.ToUpper`: character by character, without Unicode's special casing.
fn to_upper(text: &str) -> String {
    let simple = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(upper), None) => upper,
            _ => match c {
                // Greek with iota subscript: the simple upper case is the title case.
                '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(c, 8),
                '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(c, 9),
                _ => c,
            },
        }
    };
    text.chars().map(simple).collect()
}

fn shifted(c: char, by: u32) -> char {
    char::from_u32(c as u32 + by).unwrap_or(c)
}

fn has_variable(template: &str) -> bool {
    template.contains('$')
}

/// Whether `text` may become a label name once its variables are replaced.
fn is_name_template(text: &str, names: NameValidation) -> bool {
    match names {
        NameValidation::Utf8 => names.is_label_name(text),
        NameValidation::Legacy => LEGACY_TEMPLATE.is_match(text),
    }
}

static MATCH_ALL: LazyLock<AnchoredRegex> =
    LazyLock::new(|| AnchoredRegex::new(DEFAULT_REGEX).expect("a constant that compiles"));

static LEGACY_TEMPLATE: LazyLock<AnchoredRegex> = LazyLock::new(|| {
    AnchoredRegex::new(r"(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+").expect("a constant that compiles")
});

#[cfg(test)]
mod tests;
