//! `relabel_configs`, `metric_relabel_configs`, `alert_relabel_configs`.

use model::labels::quote;
use model::regex::AnchoredRegex;
use model::relabel::{RelabelAction, RelabelConfig, RelabelError};

use crate::decode::{Decoded, Decoder, Fatal, Field};
use crate::yaml::NodeId;

/// The steps of a list; a null one is `None`.
pub(super) fn decode_list(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Vec<Option<RelabelConfig>>> {
    decoder.list(id, "[]*relabel.Config", &mut |decoder, id| {
        if decoder.is_null(id) { Ok(None) } else { decode(decoder, id).map(Some) }
    })
}

/// The steps, unless one is null: then `message` is the error.
pub(super) fn none_null(steps: Vec<Option<RelabelConfig>>, message: &str) -> Decoded<Vec<RelabelConfig>> {
    let steps: Option<Vec<RelabelConfig>> = steps.into_iter().collect();
    steps.ok_or_else(|| Fatal(message.to_owned()))
}

fn decode(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<RelabelConfig> {
    let mark = decoder.mark();
    let mut config = RelabelConfig::default();
    let (mut regex_is_set, mut sources_are_set) = (false, false);
    decoder.structure(id, "relabel.plain", &mut |decoder, key, value| {
        match key {
            "source_labels" => {
                sources_are_set = !decoder.is_null(value);
                config.source_labels = decoder.list(value, "model.LabelNames", &mut label_name)?;
            }
            "separator" => config.separator = decoder.string(value, "string")?,
            "regex" => {
                let mark = decoder.mark();
                let text = decoder.string(value, "string")?;
                if decoder.clean_since(mark) {
                    config.regex = AnchoredRegex::new(&text)?;
                    config.regex_text = text;
                    regex_is_set = true;
                }
            }
            "modulus" => config.modulus = decoder.uint(value, "uint64")?,
            "target_label" => config.target_label = decoder.string(value, "string")?,
            "replacement" => config.replacement = decoder.string(value, "string")?,
            "action" => {
                let mark = decoder.mark();
                let text = decoder.string(value, "string")?;
                if decoder.clean_since(mark) {
                    config.action = RelabelAction::parse(&text)?;
                }
            }
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    if decoder.clean_since(mark) {
        check_presence(&config, regex_is_set, sources_are_set)?;
    }
    Ok(config)
}

/// Fields that must not even be written, whatever they say.
fn check_presence(config: &RelabelConfig, regex_is_set: bool, sources_are_set: bool) -> Decoded<()> {
    match config.action {
        RelabelAction::KeepEqual | RelabelAction::DropEqual
            if regex_is_set && !config.target_label.is_empty() =>
        {
            Err(RelabelError::OnlyEqualFields(config.action).into())
        }
        RelabelAction::LabelDrop | RelabelAction::LabelKeep if sources_are_set => {
            Err(RelabelError::OnlyRegex(config.action).into())
        }
        _ => Ok(()),
    }
}

fn label_name(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<String> {
    let mark = decoder.mark();
    let name = decoder.string(id, "string")?;
    if decoder.clean_since(mark) && name.is_empty() {
        return Err(Fatal(format!("{} is not a valid label name", quote(&name))));
    }
    Ok(name)
}
