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
    let mut set = Presence::default();
    decoder.structure(id, "relabel.plain", &mut |decoder, key, value| {
        match key {
            "source_labels" => {
                set.sources = !decoder.is_null(value);
                config.source_labels = decoder.list(value, "model.LabelNames", &mut label_name)?;
            }
            "separator" => config.separator = decoder.string(value, "string")?,
            "regex" => {
                let mark = decoder.mark();
                let text = decoder.string(value, "string")?;
                if decoder.clean_since(mark) {
                    config.regex = AnchoredRegex::new_for_relabelling(&text)?;
                    config.regex_text = text;
                    set.regex = true;
                }
            }
            "modulus" => config.modulus = decoder.uint(value, "uint64")?,
            "target_label" => config.target_label = decoder.string(value, "string")?,
            "replacement" => config.replacement = decoder.string(value, "string")?,
            "action" => {
                set.null_action = decoder.is_null(value);
                let mark = decoder.mark();
                let text = decoder.string(value, "string")?;
                if decoder.clean_since(mark) && !set.null_action {
                    config.action = RelabelAction::parse(&text)?;
                }
            }
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    if decoder.clean_since(mark) {
        set.check(&config)?;
    }
    Ok(config)
}

/// What is written, whatever it says.
#[derive(Default)]
struct Presence {
    regex: bool,
    sources: bool,
    null_action: bool,
}

impl Presence {
    fn check(&self, config: &RelabelConfig) -> Decoded<()> {
        match config.action {
            _ if self.null_action => Err(RelabelError::EmptyAction.into()),
            RelabelAction::KeepEqual | RelabelAction::DropEqual
                if self.regex && !config.target_label.is_empty() =>
            {
                Err(RelabelError::OnlyEqualFields(config.action).into())
            }
            RelabelAction::LabelDrop | RelabelAction::LabelKeep if self.sources => {
                Err(RelabelError::OnlyRegex(config.action).into())
            }
            _ => Ok(()),
        }
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
