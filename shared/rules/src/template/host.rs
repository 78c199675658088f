//! Hosts, ports and URLs as Go's `net` and `net/url` treat them.

use std::net::IpAddr;

/// Go's `url.QueryEscape`.
pub(super) fn query_escape(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string().replace(' ', "+")
}

/// The host of `host:port`; anything else as it is.
pub(super) fn strip_port(host_port: &str) -> String {
    split_host_port(host_port).map_or(host_port, |(host, _)| host).to_owned()
}

/// The first label of a host name, with the port where there is one; addresses as they are.
pub(super) fn strip_domain(host_port: &str) -> String {
    let (host, port) = split_host_port(host_port).unwrap_or((host_port, ""));
    if host.parse::<IpAddr>().is_ok() {
        return host_port.to_owned();
    }
    let name = host.split('.').next().unwrap_or(host);
    match (port.is_empty(), name.contains(':')) {
        (true, _) => name.to_owned(),
        (false, true) => format!("[{name}]:{port}"),
        (false, false) => format!("{name}:{port}"),
    }
}

/// The path of a URL, percent-decoded.
pub(super) fn url_path(url: &str) -> String {
    let rest = url
        .split_once("://")
        .map_or(url, |(_, rest)| rest.find('/').map_or("", |at| rest.get(at..).unwrap_or("")));
    let path = rest.split(['?', '#']).next().unwrap_or("");
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// Go's `net.SplitHostPort`.
fn split_host_port(host_port: &str) -> Option<(&str, &str)> {
    let colon = host_port.rfind(':')?;
    let port = host_port.get(colon + 1..)?;
    let (host, unscanned, tail) = if let Some(inner) = host_port.strip_prefix('[') {
        let end = inner.find(']')? + 1;
        if end + 1 != colon {
            return None;
        }
        (host_port.get(1..end)?, host_port.get(1..)?, host_port.get(end + 1..)?)
    } else {
        let host = host_port.get(..colon)?;
        if host.contains(':') {
            return None;
        }
        (host, host_port, host_port)
    };
    if unscanned.contains('[') || tail.contains(']') {
        return None;
    }
    Some((host, port))
}
