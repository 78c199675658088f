//! Sections that Prometheus has for its own process and store: checked, then reported as having no effect.

use crate::decode::{Decoded, Decoder, Fatal, Field};
use crate::units::parse_base2_bytes;
use crate::yaml::NodeId;
use model::labels::quote;

/// Tells the operator that `key` is without effect, unless it is not set.
pub(super) fn note(decoder: &mut Decoder<'_>, key: &str, value: NodeId) {
    if !decoder.is_unset(value) {
        decoder.warn(value, &format!("field {key} has no effect in foxfire"));
    }
}

/// A text without effect.
pub(super) fn text(decoder: &mut Decoder<'_>, key: &str, value: NodeId) -> Decoded<()> {
    decoder.string(value, "string")?;
    note(decoder, key, value);
    Ok(())
}

/// `runtime`: how Go's collector works.
pub(super) fn runtime(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<()> {
    section(decoder, id, "config.RuntimeConfig", &mut |decoder, key, value| match key {
        "gogc" => {
            decoder.int(value, "int")?;
            note(decoder, key, value);
            Ok(Field::Known)
        }
        _ => Ok(Field::Unknown),
    })
}

/// `tracing`: where Prometheus sends spans of its own.
pub(super) fn tracing(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<()> {
    let mark = decoder.mark();
    let mut endpoint = String::new();
    section(decoder, id, "config.plain", &mut |decoder, key, value| {
        match key {
            "endpoint" => endpoint = decoder.string(value, "string")?,
            "client_type" => {
                let client = decoder.string(value, "config.plain")?;
                if client != "http" && client != "grpc" {
                    let text = "expected tracing client type to be to be http or grpc, but got ";
                    return Err(Fatal(format!("{text}{client}")));
                }
            }
            "sampling_fraction" => {
                decoder.float(value)?;
            }
            "insecure" => {
                decoder.bool(value)?;
            }
            "compression" => {
                let compression = decoder.string(value, "string")?;
                if !compression.is_empty() && compression != "gzip" {
                    let text =
                        format!("invalid compression type {compression} provided, valid options: gzip");
                    return Err(Fatal(text));
                }
            }
            "timeout" => {
                decoder.duration(value)?;
            }
            "headers" => {
                let headers = decoder
                    .map(value, "map[string]string", &mut |decoder, value| decoder.string(value, "string"))?;
                headers.iter().try_for_each(|(name, _)| check_header(name))?;
            }
            // Nothing is sent, so it does not matter how it would be secured.
            "tls_config" => {}
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    if decoder.is_null(id) || !decoder.clean_since(mark) {
        return Ok(());
    }
    if endpoint.is_empty() {
        return Err(Fatal("tracing endpoint must be set".to_owned()));
    }
    note(decoder, "tracing", id);
    Ok(())
}

/// Headers that Prometheus sets itself.
const RESERVED_HEADERS: [&str; 16] = [
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

fn check_header(name: &str) -> Decoded<()> {
    let lower = name.to_lowercase();
    if lower == "authorization" {
        return Err(Fatal("authorization header configuration is not yet supported".to_owned()));
    }
    if RESERVED_HEADERS.contains(&lower.as_str()) {
        return Err(Fatal(format!("{name} is a reserved header. It must not be changed")));
    }
    Ok(())
}

/// `storage`: how Prometheus keeps its blocks. How long data is kept is refused rather than passed over, for the
/// operator would lose data that they meant to keep.
pub(super) fn storage(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<()> {
    section(decoder, id, "config.StorageConfig", &mut |decoder, key, value| {
        match key {
            "tsdb" => tsdb(decoder, value)?,
            "exemplars" => {
                section(decoder, value, "config.ExemplarsConfig", &mut |decoder, key, value| match key {
                    "max_exemplars" => {
                        decoder.int(value, "int64")?;
                        note(decoder, key, value);
                        Ok(Field::Known)
                    }
                    _ => Ok(Field::Unknown),
                })?;
            }
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })
}

fn tsdb(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<()> {
    section(decoder, id, "config.plain", &mut |decoder, key, value| {
        match key {
            // Samples of any age are taken in any order.
            "out_of_order_time_window" => {
                decoder.duration(value)?;
            }
            "stale_series_compaction_threshold" => {
                decoder.float(value)?;
                note(decoder, key, value);
            }
            "chunk_encoding" => chunk_encoding(decoder, value)?,
            "retention" => retention(decoder, value)?,
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })
}

fn chunk_encoding(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<()> {
    section(decoder, id, "config.ChunkEncodingConfig", &mut |decoder, key, value| {
        if key != "floats" {
            return Ok(Field::Unknown);
        }
        let floats = decoder.string(value, "string")?;
        if !matches!(floats.as_str(), "" | "xor" | "xor2") {
            return Err(Fatal(format!(
                "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted \
                 entirely, got {}",
                quote(&floats)
            )));
        }
        note(decoder, "chunk_encoding", value);
        Ok(Field::Known)
    })
}

fn retention(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<()> {
    let mark = decoder.mark();
    let (mut size, mut percentage, mut is_set) = (0, 0.0, false);
    section(decoder, id, "config.plain", &mut |decoder, key, value| {
        match key {
            "time" => is_set |= !decoder.duration(value)?.is_zero(),
            "size" => {
                let text = decoder.string(value, "units.Base2Bytes")?;
                if !decoder.is_null(value) {
                    size = parse_base2_bytes(&text).map_err(Fatal)?;
                }
            }
            "percentage" => percentage = decoder.float(value)?,
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    if !decoder.clean_since(mark) {
        return Ok(());
    }
    if size < 0 {
        let text = "'storage.tsdb.retention.size' must be greater than or equal to 0, got ";
        return Err(Fatal(format!("{text}{size}B")));
    }
    if !(0.0..=100.0).contains(&percentage) {
        let text = "'storage.tsdb.retention.percentage' must be in the range [0, 100], got ";
        return Err(Fatal(format!("{text}{}", model::number::format_g(percentage))));
    }
    if is_set || size > 0 || percentage > 0.0 {
        decoder.refuse(id, "field retention (use the flag --storage.retention.time)");
    }
    Ok(())
}

fn section(
    decoder: &mut Decoder<'_>,
    id: NodeId,
    type_name: &str,
    field: &mut dyn FnMut(&mut Decoder<'_>, &str, NodeId) -> Decoded<Field>,
) -> Decoded<()> {
    if decoder.is_null(id) {
        return Ok(());
    }
    decoder.structure(id, type_name, &mut |decoder, key, value| field(decoder, key, value))?;
    Ok(())
}
