//! `static_configs`, `file_sd_configs`, and the names of the mechanisms that are still missing.

use std::time::Duration;

use model::Labels;
use model::labels::quote;

use crate::decode::{Decoded, Decoder, Fatal, Field};
use crate::paths;
use crate::values::{FileSdConfig, ServiceDiscovery, TargetGroup};
use crate::yaml::NodeId;

/// Mechanisms of Prometheus that are not implemented.
const MISSING: [&str; 35] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "elasticache_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "msk_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "rds_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

/// The Go type that go-yaml names in messages about target groups.
const GROUP_TYPE: &str =
    r#"struct { Targets []string "yaml:\"targets\""; Labels model.LabelSet "yaml:\"labels\"" }"#;

/// Mechanisms as written; a null entry is `None`.
#[derive(Default)]
pub(super) struct Raw {
    static_configs: Vec<Option<TargetGroup>>,
    file_sd_configs: Vec<Option<FileSdConfig>>,
}

impl Raw {
    pub(super) fn field(&mut self, decoder: &mut Decoder<'_>, key: &str, value: NodeId) -> Decoded<Field> {
        match key {
            "static_configs" => {
                self.static_configs = decoder.list(value, "[]*targetgroup.Group", &mut target_group)?;
            }
            "file_sd_configs" => {
                self.file_sd_configs = decoder.list(value, "[]*file.SDConfig", &mut file_sd)?;
            }
            _ if MISSING.contains(&key) => return Ok(Field::Unsupported),
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    }

    pub(super) fn validate(self) -> Decoded<ServiceDiscovery> {
        let empty = |key: &str| Fatal(format!("empty or null section in {key}"));
        let file_sd_configs: Option<Vec<FileSdConfig>> = self.file_sd_configs.into_iter().collect();
        let static_configs: Option<Vec<TargetGroup>> = self.static_configs.into_iter().collect();
        let file_sd_configs = file_sd_configs.ok_or_else(|| empty("file_sd_configs"))?;
        let mut static_configs = static_configs.ok_or_else(|| empty("static_configs"))?;
        for (index, group) in static_configs.iter_mut().enumerate() {
            group.source = index.to_string();
        }
        Ok(ServiceDiscovery { static_configs, file_sd_configs })
    }
}

/// A target group; `None` where it is null.
pub(crate) fn target_group(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Option<TargetGroup>> {
    if decoder.is_null(id) {
        return Ok(None);
    }
    let mut group = TargetGroup::default();
    decoder.structure(id, GROUP_TYPE, &mut |decoder, key, value| {
        match key {
            "targets" => {
                let addresses = decoder.strings(value, "[]string")?;
                group.targets = addresses.into_iter().map(address).collect();
            }
            "labels" => {
                let labels = decoder.map(value, "model.LabelSet", &mut |decoder, value| {
                    decoder.string(value, "model.LabelValue")
                })?;
                if let Some((name, _)) = labels.iter().find(|(name, _)| name.is_empty()) {
                    return Err(Fatal(format!("{} is not a valid label name", quote(name))));
                }
                group.labels = Labels::from_pairs(labels);
            }
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    Ok(Some(group))
}

fn address(address: String) -> Labels {
    Labels::from_pairs([("__address__", address)])
}

fn file_sd(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Option<FileSdConfig>> {
    if decoder.is_null(id) {
        return Ok(None);
    }
    let mark = decoder.mark();
    let mut config = FileSdConfig { files: Vec::new(), refresh_interval: Duration::from_secs(300) };
    decoder.structure(id, "file.plain", &mut |decoder, key, value| {
        match key {
            "files" => config.files = decoder.strings(value, "[]string")?,
            "refresh_interval" => config.refresh_interval = decoder.duration(value)?,
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    if decoder.clean_since(mark) {
        if config.files.is_empty() {
            let text = "file service discovery config must contain at least one path name";
            return Err(Fatal(text.to_owned()));
        }
        if let Some(name) = config.files.iter().find(|name| !paths::is_target_file_pattern(name)) {
            return Err(Fatal(format!("path name {} is not valid for file discovery", quote(name))));
        }
    }
    Ok(Some(config))
}

/// Refuses URLs where a host and port belong.
pub(super) fn check_static_targets(discovery: &ServiceDiscovery) -> Decoded<()> {
    for target in discovery.static_configs.iter().flat_map(|group| &group.targets) {
        check_target_address(target.value("__address__")).map_err(Fatal)?;
    }
    Ok(())
}

/// Whether `address` can be a target's `__address__`.
///
/// # Errors
/// Where it looks like a URL.
pub fn check_target_address(address: &str) -> Result<(), String> {
    if address.contains('/') {
        return Err(format!("{} is not a valid hostname", quote(address)));
    }
    Ok(())
}
