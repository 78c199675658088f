//! What Alertmanagers are sent, by a scripted client.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use config::{Authorization, BasicAuth, HttpClientConfig, Secret, SecretSource, ServiceDiscovery};
use model::relabel::RelabelAction;
use platform::{FileError, HttpResponse, PlatformFuture};
use serde_json::{Value as Json, json};

use super::*;

/// Runs a future whose doubles never wait.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// Answers by URL, 200 unless told otherwise, and remembers what it was asked.
#[derive(Default)]
struct ScriptedFetcher {
    answers: BTreeMap<String, Result<u16, FetchError>>,
    requests: Mutex<Vec<HttpRequest>>,
}

impl Fetcher for ScriptedFetcher {
    fn fetch(&self, request: HttpRequest) -> PlatformFuture<'_, HttpResponse, FetchError> {
        let answer = self.answers.get(&request.url).cloned().unwrap_or(Ok(200));
        self.requests.lock().unwrap().push(request);
        Box::pin(std::future::ready(answer.map(|status| HttpResponse {
            status,
            status_line: format!("{status} Something"),
            content_type: String::new(),
            body: Bytes::new(),
        })))
    }
}

struct OneFile;

impl Files for OneFile {
    fn read<'a>(&'a self, path: &'a str, _: u64) -> PlatformFuture<'a, Vec<u8>, FileError> {
        let found = (path == "/secret").then(|| b" s3cret\n".to_vec());
        Box::pin(std::future::ready(found.ok_or_else(|| FileError::NotFound { path: path.to_owned() })))
    }

    fn glob<'a>(&'a self, _: &'a str) -> PlatformFuture<'a, Vec<String>, FileError> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

fn entry() -> AlertmanagerConfig {
    AlertmanagerConfig {
        scheme: "http".to_owned(),
        path_prefix: "/".to_owned(),
        timeout: Duration::from_secs(10),
        http: HttpClientConfig::default(),
        discovery: ServiceDiscovery::default(),
        relabel_configs: Vec::new(),
        alert_relabel_configs: Vec::new(),
    }
}

fn config(alertmanagers: Vec<AlertmanagerConfig>) -> AlertingConfig {
    AlertingConfig { alertmanagers, ..AlertingConfig::default() }
}

fn alertmanager(host: &str, entry: usize) -> Alertmanager {
    Alertmanager { url: format!("http://{host}/api/v2/alerts"), entry }
}

fn alert(name: &str) -> Alert {
    let pairs = |pairs: &[(&str, &str)]| {
        WireLabels(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    };
    Alert {
        labels: pairs(&[("alertname", name), ("severity", "page")]),
        annotations: pairs(&[("summary", "it is \"down\"")]),
        starts_at: 1_700_000_000_000,
        ends_at: 1_700_000_240_500,
        generator_url: "http://x/graph?g0.expr=up&g0.tab=1".to_owned(),
    }
}

fn drop_alert(name: &str) -> RelabelConfig {
    RelabelConfig {
        source_labels: vec!["alertname".to_owned()],
        regex: model::regex::AnchoredRegex::new(name).unwrap(),
        regex_text: name.to_owned(),
        action: RelabelAction::Drop,
        ..RelabelConfig::default()
    }
}

fn run(
    alerts: &[Alert],
    alertmanagers: &[Alertmanager],
    config: &AlertingConfig,
    external_labels: &[(&str, &str)],
    fetcher: &ScriptedFetcher,
) -> Vec<SendResult> {
    let external_labels: Labels = external_labels.iter().copied().collect();
    block_on(send_through(alerts, alertmanagers, config, &external_labels, fetcher, &OneFile))
}

fn bodies(fetcher: &ScriptedFetcher) -> Vec<Json> {
    let requests = fetcher.requests.lock().unwrap();
    requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[test]
fn an_alert_is_posted_as_alertmanager_takes_it() {
    let fetcher = ScriptedFetcher::default();
    let external = [("severity", "ignored"), ("region", "eu")];
    let results = run(&[alert("Down")], &[alertmanager("a", 0)], &config(vec![entry()]), &external, &fetcher);
    assert_eq!(results.len(), 1);
    assert_eq!((results[0].alerts, results[0].error.is_none()), (1, true));
    assert_eq!(
        bodies(&fetcher),
        [json!([{
            "annotations": {"summary": "it is \"down\""},
            "startsAt": "2023-11-14T22:13:20Z",
            "endsAt": "2023-11-14T22:17:20.5Z",
            "generatorURL": "http://x/graph?g0.expr=up&g0.tab=1",
            "labels": {"alertname": "Down", "region": "eu", "severity": "page"},
        }])]
    );
    let requests = fetcher.requests.lock().unwrap();
    let request = &requests[0];
    assert_eq!((request.method, request.url.as_str()), (HttpMethod::Post, "http://a/api/v2/alerts"));
    assert_eq!(request.timeout, Duration::from_secs(10));
    assert!(request.headers.contains(&("Content-Type".to_owned(), "application/json".to_owned())));
}

#[test]
fn many_alerts_go_in_batches_to_every_alertmanager() {
    let fetcher = ScriptedFetcher::default();
    let alerts: Vec<Alert> = (0..600).map(|i| alert(&format!("A{i}"))).collect();
    let both = [alertmanager("a", 0), alertmanager("b", 0)];
    let results = run(&alerts, &both, &config(vec![entry()]), &[], &fetcher);
    let sizes: Vec<usize> = results.iter().map(|result| result.alerts).collect();
    assert_eq!(sizes, [256, 256, 88, 256, 256, 88]);
    let sent: usize = bodies(&fetcher).iter().map(|body| body.as_array().unwrap().len()).sum();
    assert_eq!(sent, 1200);
}

#[test]
fn relabelling_of_all_and_of_an_entry_changes_and_drops() {
    let fetcher = ScriptedFetcher::default();
    let mut choosy = entry();
    choosy.alert_relabel_configs = vec![drop_alert("OnlyForOthers")];
    let mut config = config(vec![entry(), choosy]);
    let renames = RelabelConfig {
        target_label: "region".to_owned(),
        replacement: "us".to_owned(),
        ..RelabelConfig::default()
    };
    config.alert_relabel_configs = vec![drop_alert("Nobody"), renames];
    let alerts = [alert("Nobody"), alert("OnlyForOthers"), alert("All")];
    let both = [alertmanager("plain", 0), alertmanager("choosy", 1)];
    let results = run(&alerts, &both, &config, &[("region", "eu")], &fetcher);
    assert_eq!(results.iter().map(|result| result.alerts).collect::<Vec<_>>(), [2, 1]);
    assert!(
        bodies(&fetcher)
            .iter()
            .flat_map(|body| body.as_array().unwrap())
            .all(|a| a["labels"]["region"] == "us")
    );
    let none = run(&[alert("Nobody")], &both, &config, &[], &fetcher);
    assert!(none.is_empty(), "nothing to send is no request");
}

#[test]
fn one_alertmanager_that_fails_does_not_keep_the_others() {
    let mut fetcher = ScriptedFetcher::default();
    let urls = ["http://bad/api/v2/alerts", "http://slow/api/v2/alerts"];
    fetcher.answers.insert(urls[0].to_owned(), Ok(500));
    fetcher.answers.insert(urls[1].to_owned(), Err(FetchError::Timeout));
    let all =
        [alertmanager("bad", 0), alertmanager("slow", 0), alertmanager("good", 0), alertmanager("lost", 7)];
    let results = run(&[alert("Down")], &all, &config(vec![entry()]), &[], &fetcher);
    let errors: Vec<Option<String>> =
        results.iter().map(|result| result.error.as_ref().map(ToString::to_string)).collect();
    assert_eq!(
        errors,
        [
            Some("bad response status 500 Something".to_owned()),
            Some("Post \"http://slow/api/v2/alerts\": context deadline exceeded".to_owned()),
            None,
            Some("there is no entry 7 in alerting.alertmanagers".to_owned()),
        ]
    );
}

#[test]
fn credentials_come_from_the_configuration_and_from_files() {
    let fetcher = ScriptedFetcher::default();
    let with = |http: HttpClientConfig| AlertmanagerConfig { http, ..entry() };
    let bearer = |path: &str| {
        let credentials = SecretSource::File(path.to_owned());
        let authorization = Some(Authorization { scheme: "Bearer".to_owned(), credentials });
        with(HttpClientConfig { authorization, ..HttpClientConfig::default() })
    };
    let password = SecretSource::Inline(Secret::new("hunter2"));
    let basic_auth = Some(BasicAuth { username: "u".to_owned(), password });
    let basic = with(HttpClientConfig { basic_auth, ..HttpClientConfig::default() });
    let config = config(vec![basic, bearer("/secret"), bearer("/missing")]);
    let all = [alertmanager("a", 0), alertmanager("b", 1), alertmanager("c", 2)];
    let results = run(&[alert("Down")], &all, &config, &[], &fetcher);
    let requests = fetcher.requests.lock().unwrap();
    let header = |request: &HttpRequest| {
        request.headers.iter().find(|(name, _)| name == "Authorization").map(|(_, value)| value.clone())
    };
    let sent: Vec<Option<String>> = requests.iter().map(header).collect();
    assert_eq!(sent, [Some("Basic dTpodW50ZXIy".to_owned()), Some("Bearer s3cret".to_owned())]);
    assert_eq!(
        results[2].error.as_ref().unwrap().to_string(),
        "unable to read authorization credentials: error reading file /missing: open /missing: no such file or directory"
    );
}
