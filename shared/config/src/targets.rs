//! YAML files of target groups (`file_sd_configs`).

use crate::decode::{Decoder, Fatal};
use crate::error::ConfigError;
use crate::load::target_group;
use crate::values::TargetGroup;
use crate::yaml::Document;
use crate::yaml::resolve::Dialect;

/// The groups of a YAML file. Their `source` is left empty, for it depends on the file's name.
///
/// # Errors
/// Where the text is not a list of target groups, in go-yaml's words; an empty or null group is an error too.
pub fn target_groups_from_yaml(text: &str) -> Result<Vec<TargetGroup>, ConfigError> {
    parse(text).map_err(|message| ConfigError::Targets { message })
}

fn parse(text: &str) -> Result<Vec<TargetGroup>, String> {
    let document = Document::parse(text)?;
    let mut decoder = Decoder::new(&document, Dialect::V2, true);
    let groups = match document.root() {
        Some(root) => {
            decoder.list(root, "[]*targetgroup.Group", &mut target_group).map_err(|Fatal(text)| text)?
        }
        None => Vec::new(),
    };
    decoder.finish()?;
    let groups: Option<Vec<TargetGroup>> = groups.into_iter().collect();
    groups.ok_or_else(|| "nil target group item found".to_owned())
}

#[cfg(test)]
mod tests;
