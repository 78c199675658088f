//! `/federate`: the last sample of each series that matches, in the text exposition format. Source: `web/federate.go`.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use model::value::STALE_NAN_BITS;
use model::{Labels, TimestampMs, number};
use platform::Deadline;
use promql::parser;
use storage::{Limits, Select, SelectHints};

use crate::params::Params;
use crate::route::http_error;
use crate::{Api, ApiError, Response};

impl Api {
    /// The last samples, with the external labels that a series does not have itself.
    pub(crate) async fn federate(&self, params: &Params, headers: &HeaderMap) -> Response {
        if let Err(error) = params.check_form() {
            return http_error(StatusCode::BAD_REQUEST, &error.message);
        }
        let now = self.clock.now_ms();
        let mut selects = Vec::new();
        for selector in params.all("match[]") {
            match parser::parse_metric_selector(selector) {
                Ok(matchers) => selects.push(Select {
                    matchers,
                    min_time: now.saturating_sub(self.engine.lookback_delta_ms),
                    max_time: now,
                    hints: SelectHints::default(),
                }),
                Err(error) => return http_error(StatusCode::BAD_REQUEST, &error.to_string()),
            }
        }
        let text = Text { utf8_names: accepts_utf8_names(headers) };
        match self.last_samples(&selects).await {
            Ok((samples, external)) => text.response(&samples, &external),
            Err(error) => http_error(StatusCode::INTERNAL_SERVER_ERROR, &error.message),
        }
    }

    async fn last_samples(&self, selects: &[Select]) -> Result<(Vec<Sample>, Labels), ApiError> {
        let deadline = Deadline::after(&*self.clock, self.query_timeout);
        let limits = Limits { samples_max: self.engine.samples_max, deadline: deadline.0 };
        let sets =
            if selects.is_empty() { Vec::new() } else { self.queryable.select(selects, limits).await? };
        let mut samples: Vec<Sample> = sets
            .into_iter()
            .flatten()
            .filter_map(|series| {
                let (timestamp, value) = (*series.timestamps.last()?, *series.values.last()?);
                let wanted = value.to_bits() != STALE_NAN_BITS && !series.labels.metric_name().is_empty();
                wanted.then_some(Sample { labels: series.labels, timestamp, value })
            })
            .collect();
        samples.sort_by(|a, b| {
            a.labels.metric_name().cmp(b.labels.metric_name()).then_with(|| a.labels.cmp(&b.labels))
        });
        samples.dedup_by(|a, b| a.labels == b.labels);
        Ok((samples, self.deployment.global_config().await?.external_labels))
    }
}

struct Sample {
    labels: Labels,
    timestamp: TimestampMs,
    value: f64,
}

fn accepts_utf8_names(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.replace(' ', "").contains("escaping=allow-utf-8"))
}

/// The text format; names that are not of the classic form are quoted, or else have underscores.
struct Text {
    utf8_names: bool,
}

impl Text {
    fn response(&self, samples: &[Sample], external: &Labels) -> Response {
        let mut out = String::new();
        let mut family = None;
        for sample in samples {
            let name = sample.labels.metric_name();
            if family != Some(name) {
                family = Some(name);
                out.push_str("# TYPE ");
                out.push_str(&self.name(name));
                out.push_str(" untyped\n");
            }
            self.line(&mut out, sample, external);
        }
        let mut response = Response::new(Bytes::from(out));
        let content_type = if self.utf8_names {
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
        } else {
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    fn line(&self, out: &mut String, sample: &Sample, external: &Labels) {
        let labels = &sample.labels;
        let name = labels.metric_name();
        // A federated series has an `instance`, be it empty, lest the scraper's own takes its place.
        let no_instance = (labels.get("instance").is_none() && external.get("instance").is_none())
            .then_some(("instance", ""));
        let mut added: Vec<(&str, &str)> =
            external.iter().filter(|(name, _)| labels.get(name).is_none()).chain(no_instance).collect();
        added.sort_unstable();
        let quoted_name = self.utf8_names && !model::labels::is_legacy_metric_name(name);
        let mut pairs: Vec<String> = Vec::with_capacity(labels.len() + added.len());
        if quoted_name {
            pairs.push(self.name(name));
        } else {
            out.push_str(&self.name(name));
        }
        let own = labels.iter().filter(|(name, _)| *name != "__name__");
        pairs.extend(
            own.chain(added).map(|(name, value)| format!("{}=\"{}\"", self.label_name(name), escape(value))),
        );
        out.push('{');
        out.push_str(&pairs.join(","));
        out.push_str("} ");
        out.push_str(&number::format_g(sample.value));
        out.push(' ');
        out.push_str(&sample.timestamp.to_string());
        out.push('\n');
    }

    fn name(&self, name: &str) -> String {
        self.spell(name, model::labels::is_legacy_metric_name(name), ':')
    }

    fn label_name(&self, name: &str) -> String {
        self.spell(name, model::labels::is_legacy_label_name(name), '_')
    }

    fn spell(&self, name: &str, classic: bool, also: char) -> String {
        if classic {
            return name.to_owned();
        }
        if self.utf8_names {
            return format!("\"{}\"", escape(name));
        }
        let fits = |(at, c): (usize, char)| {
            c.is_ascii_alphabetic() || c == '_' || c == also || (at > 0 && c.is_ascii_digit())
        };
        name.chars().enumerate().map(|(at, c)| if fits((at, c)) { c } else { '_' }).collect()
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}
