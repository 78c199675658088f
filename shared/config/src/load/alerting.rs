//! `alerting`.

use std::time::Duration;

use model::labels::NameValidation;

use super::{discovery, http, relabel};
use crate::decode::{Decoded, Decoder, Fatal, Field};
use crate::values::{AlertingConfig, AlertmanagerConfig, HttpClientConfig, ServiceDiscovery};
use crate::yaml::NodeId;

pub(super) fn decode(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<AlertingConfig> {
    let mut config = AlertingConfig::default();
    if decoder.is_null(id) {
        return Ok(config);
    }
    let mark = decoder.mark();
    let mut steps = Vec::new();
    decoder.structure(id, "config.plain", &mut |decoder, key, value| {
        match key {
            "alert_relabel_configs" => steps = relabel::decode_list(decoder, value)?,
            "alertmanagers" => {
                config.alertmanagers = decoder
                    .list(value, "config.AlertmanagerConfigs", &mut alertmanager)?
                    .into_iter()
                    .flatten()
                    .collect();
            }
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    if decoder.clean_since(mark) {
        config.alert_relabel_configs = relabel::none_null(steps, "empty or null alert relabeling rule")?;
    }
    Ok(config)
}

pub(super) fn validate(config: &AlertingConfig, names: NameValidation) -> Decoded<()> {
    let own = config.alert_relabel_configs.iter();
    let theirs =
        config.alertmanagers.iter().flat_map(|am| am.alert_relabel_configs.iter().chain(&am.relabel_configs));
    for step in own.chain(theirs) {
        step.validate(names)?;
    }
    Ok(())
}

/// One entry of `alertmanagers`; `None` where it is null, which Prometheus passes over.
fn alertmanager(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Option<AlertmanagerConfig>> {
    if decoder.is_null(id) {
        return Ok(None);
    }
    let mark = decoder.mark();
    let mut config = AlertmanagerConfig {
        scheme: "http".to_owned(),
        path_prefix: String::new(),
        timeout: Duration::from_secs(10),
        http: HttpClientConfig::default(),
        discovery: ServiceDiscovery::default(),
        relabel_configs: Vec::new(),
        alert_relabel_configs: Vec::new(),
    };
    let mut http = http::Raw::default();
    let mut discovery = discovery::Raw::default();
    let (mut target_steps, mut alert_steps) = (Vec::new(), Vec::new());
    decoder.structure(id, "config.AlertmanagerConfig", &mut |decoder, key, value| {
        if let Some(field) = http.field(decoder, key, value)? {
            return Ok(field);
        }
        match key {
            "scheme" => config.scheme = decoder.string(value, "string")?,
            "path_prefix" => config.path_prefix = decoder.string(value, "string")?,
            "timeout" => config.timeout = decoder.duration(value)?,
            "api_version" => api_version(decoder, value)?,
            "relabel_configs" => target_steps = relabel::decode_list(decoder, value)?,
            "alert_relabel_configs" => alert_steps = relabel::decode_list(decoder, value)?,
            "sigv4" => return Ok(Field::Unsupported),
            _ => return discovery.field(decoder, key, value),
        }
        Ok(Field::Known)
    })?;
    if decoder.clean_since(mark) {
        config.discovery = discovery.validate()?;
        config.http = http.validate()?;
        if target_steps.is_empty() {
            discovery::check_static_targets(&config.discovery)?;
        }
        let target = "empty or null Alertmanager target relabeling rule";
        config.relabel_configs = relabel::none_null(target_steps, target)?;
        let alert = "empty or null Alertmanager alert relabeling rule";
        config.alert_relabel_configs = relabel::none_null(alert_steps, alert)?;
        if config.path_prefix.is_empty() {
            config.path_prefix.push('/');
        }
    }
    Ok(Some(config))
}

fn api_version(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<()> {
    let mark = decoder.mark();
    let version = decoder.string(id, "config.plain")?;
    if !decoder.clean_since(mark) || decoder.is_null(id) || version == "v2" {
        return Ok(());
    }
    Err(Fatal(format!("expected Alertmanager api version to be one of [v2] but got {version}")))
}
