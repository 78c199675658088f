//! The request of a scrape.

use std::time::Duration;

use bytes::Bytes;
use config::{ScrapeConfig, ScrapeLimits, ScrapeProtocol};
use http_client::authorization;
use platform::{Files, HttpMethod, HttpRequest};
use wire::ScrapeTarget;

/// What targets see of us.
const USER_AGENT: &str = concat!("foxfire/", env!("CARGO_PKG_VERSION"));
/// The weight that Prometheus gives the most wanted protocol, in tenths.
const FIRST_WEIGHT: u32 = 6;

/// The request of one scrape.
///
/// # Errors
/// Where a secret cannot be read.
pub(crate) async fn build_request(
    target: &ScrapeTarget,
    config: &ScrapeConfig,
    timeout: Duration,
    files: &dyn Files,
) -> Result<HttpRequest, String> {
    let timeout_seconds = model::number::format_f(target.timeout_ms as f64 / 1000.0);
    let encoding = if config.enable_compression { "gzip" } else { "identity" };
    let mut headers = vec![
        ("Accept".to_owned(), accept(&config.scrape_protocols)),
        ("Accept-Encoding".to_owned(), encoding.to_owned()),
        ("User-Agent".to_owned(), USER_AGENT.to_owned()),
        ("X-Prometheus-Scrape-Timeout-Seconds".to_owned(), timeout_seconds),
    ];
    if let Some(authorization) = authorization(&config.http, files).await? {
        headers.push(("Authorization".to_owned(), authorization));
    }
    Ok(HttpRequest {
        method: HttpMethod::Get,
        url: target.url.clone(),
        headers,
        body: Bytes::new(),
        timeout,
        // A body as large as the limit is already too large, as in Prometheus.
        body_bytes_max: body_bytes_limit(&config.limits) - 1,
        follow_redirects: config.http.follow_redirects,
        insecure_skip_verify: config.http.insecure_skip_verify,
    })
}

/// The size from which on a body is too large, bytes, at least 1: there is always a limit.
pub(crate) fn body_bytes_limit(limits: &ScrapeLimits) -> u64 {
    match limits.body_bytes_max {
        0 => ScrapeLimits::default().body_bytes_max.max(1),
        limit => limit,
    }
}

/// A URL as errors show it: without the password that it may have.
pub(crate) fn shown_url(url: &str) -> String {
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user_info, _) = authority.rsplit_once('@')?;
        let (user, _) = user_info.split_once(':')?;
        Some(format!("{scheme}://{user}:***{}", rest.get(user_info.len()..)?))
    };
    hidden().unwrap_or_else(|| url.to_owned())
}

/// The text formats among the protocols that the configuration wants, in its order. Others are not read yet, so they
/// are not asked for.
fn accept(protocols: &[ScrapeProtocol]) -> String {
    let is_text = |protocol: &&ScrapeProtocol| {
        matches!(protocol, ScrapeProtocol::PrometheusText1_0_0 | ScrapeProtocol::PrometheusText0_0_4)
    };
    let mut wanted: Vec<ScrapeProtocol> = protocols.iter().filter(is_text).copied().collect();
    if wanted.is_empty() {
        wanted = vec![ScrapeProtocol::PrometheusText1_0_0, ScrapeProtocol::PrometheusText0_0_4];
    }
    let mut header = String::new();
    let mut weight = FIRST_WEIGHT;
    for protocol in wanted {
        header.push_str(protocol.media_type());
        if protocol == ScrapeProtocol::PrometheusText1_0_0 {
            header.push_str(";escaping=allow-utf-8");
        }
        header.push_str(&format!(";q=0.{weight},"));
        weight = weight.saturating_sub(1).max(1);
    }
    header + &format!("*/*;q=0.{weight}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_formats_that_can_be_read_are_asked_for() {
        let both =
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4";
        assert_eq!(accept(&ScrapeProtocol::DEFAULT), both);
        assert_eq!(accept(&[ScrapeProtocol::OpenMetricsText1_0_0]), both);
        assert_eq!(
            accept(&[ScrapeProtocol::PrometheusText0_0_4]),
            "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"
        );
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        assert_eq!(shown_url("http://a:b@c:80/d?e=f@g"), "http://a:***@c:80/d?e=f@g");
        assert_eq!(shown_url("http://c:80/d?e=x:f@g"), "http://c:80/d?e=x:f@g");
        assert_eq!(shown_url("http://a@c/"), "http://a@c/");
    }
}
