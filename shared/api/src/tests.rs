//! Requests in, answers out, over a store of three series and a deployment that is written down here.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::{GlobalConfig, RecordingRule, Rule, RuleGroup};
use futures::FutureExt;
use http::Method;
use http::header::{CONTENT_TYPE, ORIGIN, VARY};
use model::matcher::matches_all;
use model::value::STALE_NAN_BITS;
use model::{Exemplar, Labels, Matcher, Metadata, MetricType, TimestampMs};
use platform::Clock;
use promql::EngineOptions;
use serde_json::{Value, json};
use storage::{
    ExemplarQueryable, LabelQuery, Limits, MetadataQueryable, Queryable, Select, Series, SeriesExemplars,
    SeriesSet, StorageFuture,
};
use wire::{BlockMeta, ScrapePool, ScrapeTarget, WireLabels};

use crate::{
    Api, ApiError, BuildInfo, Deployment, DeploymentFuture, ErrorType, GlobalUrlOptions, Response,
    RuleGroupStatus, RuntimeInfo, Targets, TsdbStatus,
};

const NOW: TimestampMs = 1_000_000;

struct FixedClock;

impl Clock for FixedClock {
    fn now_ms(&self) -> i64 {
        NOW
    }

    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}

struct FakeStore(Vec<Series>);

impl FakeStore {
    fn matching(&self, query: &LabelQuery) -> Vec<Labels> {
        let sets = &query.matcher_sets;
        let wanted = |labels: &Labels| sets.is_empty() || sets.iter().any(|set| matches_all(set, labels));
        self.0.iter().map(|series| series.labels.clone()).filter(wanted).collect()
    }
}

impl Queryable for FakeStore {
    fn select<'a>(&'a self, selects: &'a [Select], _: Limits) -> StorageFuture<'a, Vec<SeriesSet>> {
        let of = |select: &Select| {
            let in_range = |t: &TimestampMs| (select.min_time..=select.max_time).contains(t);
            let found = self.0.iter().filter(|series| {
                matches_all(&select.matchers, &series.labels) && series.timestamps.iter().any(in_range)
            });
            found.cloned().collect()
        };
        Box::pin(ready(Ok(selects.iter().map(of).collect())))
    }

    fn series<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<Labels>> {
        Box::pin(ready(Ok(self.matching(query))))
    }

    fn label_names<'a>(&'a self, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        let names = self.matching(query);
        let names = names.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()));
        let names: std::collections::BTreeSet<String> = names.collect();
        Box::pin(ready(Ok(names.into_iter().collect())))
    }

    fn label_values<'a>(&'a self, name: &'a str, query: &'a LabelQuery) -> StorageFuture<'a, Vec<String>> {
        let found = self.matching(query);
        Box::pin(ready(Ok(found.iter().filter_map(|labels| labels.get(name)).map(str::to_owned).collect())))
    }
}

impl ExemplarQueryable for FakeStore {
    fn exemplars<'a>(
        &'a self,
        matcher_sets: &'a [Vec<Matcher>],
        min_time: TimestampMs,
        max_time: TimestampMs,
        limit: usize,
    ) -> StorageFuture<'a, Vec<SeriesExemplars>> {
        assert!(limit > 0);
        let wanted = |labels: &Labels| matcher_sets.iter().any(|set| matches_all(set, labels));
        let of = |series: &Series| SeriesExemplars {
            labels: series.labels.clone(),
            exemplars: vec![Exemplar {
                labels: Labels::from_pairs([("trace_id", "x\"")]),
                value: 0.5,
                timestamp: NOW - 1,
            }],
        };
        let in_range = (min_time..=max_time).contains(&(NOW - 1));
        let found = self.0.iter().filter(|series| in_range && wanted(&series.labels)).map(of).collect();
        Box::pin(ready(Ok(found)))
    }
}

fn said(family: &str, kind: MetricType, help: &str) -> Metadata {
    Metadata { metric_family: family.to_owned(), kind, help: help.to_owned(), unit: String::new() }
}

impl MetadataQueryable for FakeStore {
    fn metadata<'a>(&'a self, metric: Option<&'a str>) -> StorageFuture<'a, Vec<Metadata>> {
        let mut all = vec![
            said("a", MetricType::Counter, "one"),
            said("a", MetricType::Gauge, "two"),
            said("b", MetricType::Unknown, ""),
        ];
        all.retain(|metadata| metric.is_none_or(|metric| metadata.metric_family == metric));
        Box::pin(ready(Ok(all)))
    }
}

struct FakeDeployment {
    admin: bool,
}

fn group(file: &str, name: &str) -> RuleGroupStatus {
    let rule = RecordingRule {
        record: "a:b".to_owned(),
        expr: "sum by(job)(up)".to_owned(),
        labels: Labels::empty(),
    };
    RuleGroupStatus {
        file: file.to_owned(),
        group: RuleGroup {
            name: name.to_owned(),
            interval: None,
            query_offset: None,
            limit: 0,
            labels: Labels::empty(),
            rules: vec![Rule::Recording(rule)],
        },
        interval: Duration::from_secs(2),
        state: None,
    }
}

impl Deployment for FakeDeployment {
    fn targets(&self) -> DeploymentFuture<'_, Targets> {
        let target = ScrapeTarget {
            source: "0000000000000001".to_owned(),
            pool: "node".to_owned(),
            url: "http://localhost:9100/metrics".to_owned(),
            labels: WireLabels::from(&Labels::from_pairs([("instance", "i"), ("job", "node")])),
            discovered: WireLabels::default(),
            interval_ms: 2_000,
            timeout_ms: 1_000,
            offset_ms: 0,
            forced_error: None,
        };
        let pool = ScrapePool {
            name: "node".to_owned(),
            active: vec![target],
            dropped: Vec::new(),
            errors: Vec::new(),
        };
        Box::pin(ready(Ok(Targets { pools: vec![pool], last_scrapes: BTreeMap::new() })))
    }

    fn target_metadata<'a>(
        &'a self,
        sources: &'a [&'a str],
    ) -> DeploymentFuture<'a, BTreeMap<String, Arc<[Metadata]>>> {
        let all = [said("a", MetricType::Counter, "one"), said("c", MetricType::Info, "")];
        let of = |source: &&str| ((*source).to_owned(), Arc::from(all.clone()));
        Box::pin(ready(Ok(sources.iter().map(of).collect())))
    }

    fn rule_groups(&self) -> DeploymentFuture<'_, Vec<RuleGroupStatus>> {
        let groups = vec![group("b.yml", "x"), group("a.yml", "z"), group("a.yml", "y")];
        Box::pin(ready(Ok(groups)))
    }

    fn alertmanagers(&self) -> DeploymentFuture<'_, Vec<String>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn config_yaml(&self) -> DeploymentFuture<'_, String> {
        Box::pin(ready(Ok(String::new())))
    }

    fn global_config(&self) -> DeploymentFuture<'_, GlobalConfig> {
        let global = GlobalConfig {
            evaluation_interval: Duration::from_secs(10),
            external_labels: Labels::from_pairs([("cluster", "c1"), ("job", "external")]),
            ..GlobalConfig::default()
        };
        Box::pin(ready(Ok(global)))
    }

    fn tsdb_status(&self, _: usize) -> DeploymentFuture<'_, TsdbStatus> {
        Box::pin(ready(Ok(TsdbStatus::default())))
    }

    fn blocks(&self) -> DeploymentFuture<'_, Vec<BlockMeta>> {
        let block = |id: &str, level, parents: &[&str]| BlockMeta {
            id: id.to_owned(),
            level,
            min_time: 0,
            max_time: 300_000,
            samples: 7,
            series: 2,
            set_hash: String::new(),
            files: Vec::new(),
            parents: parents.iter().map(|id| (*id).to_owned()).collect(),
            series_range: None,
        };
        let blocks = vec![block("default/A", 1, &[]), block("default/B", 2, &["default/C", "default/D"])];
        Box::pin(ready(Ok(blocks)))
    }

    fn global_url(&self) -> GlobalUrlOptions {
        GlobalUrlOptions { listen_port: Some(9090), external_url: "http://box:9090".to_owned() }
    }

    fn flags(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn runtime_info(&self) -> RuntimeInfo {
        RuntimeInfo::default()
    }

    fn build_info(&self) -> BuildInfo {
        BuildInfo::default()
    }

    fn admin_enabled(&self) -> Result<(), ApiError> {
        if self.admin { Ok(()) } else { Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled")) }
    }

    fn delete_series(
        &self,
        sets: Vec<Vec<Matcher>>,
        min: TimestampMs,
        max: TimestampMs,
    ) -> DeploymentFuture<'_, ()> {
        // What arrived is told by way of an error.
        Box::pin(async move { Err(ApiError::bad_data(format!("{} sets, {min} to {max}", sets.len()))) })
    }

    fn clean_tombstones(&self) -> DeploymentFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn series(labels: &[(&str, &str)], last: f64) -> Series {
    let timestamps: Vec<TimestampMs> = (0..10).map(|index| NOW - 90_000 + index * 10_000).collect();
    let mut values = vec![1.0; timestamps.len()];
    if let Some(value) = values.last_mut() {
        *value = last;
    }
    Series::floats(Labels::from_pairs(labels.iter().copied()), timestamps.into(), values.into())
}

fn ask(request: http::request::Builder, body: &str) -> Response {
    ask_as(false, request, body)
}

fn ask_as(admin: bool, request: http::request::Builder, body: &str) -> Response {
    let store = Arc::new(FakeStore(vec![
        series(&[("__name__", "a.b"), ("job", "n"), ("x.y", "q\"")], 2.5),
        series(&[("__name__", "gone"), ("job", "n")], f64::from_bits(STALE_NAN_BITS)),
        series(&[("__name__", "up"), ("instance", "i"), ("job", "n")], 1.0),
        series(&[("__name__", "up"), ("instance", "j")], 0.0),
    ]));
    let api = Api {
        exemplars: Arc::<FakeStore>::clone(&store),
        metadata: Arc::<FakeStore>::clone(&store),
        queryable: store,
        deployment: Arc::new(FakeDeployment { admin }),
        clock: Arc::new(FixedClock),
        engine: EngineOptions::default(),
        query_timeout: Duration::from_secs(60),
    };
    api.route(request.body(Bytes::from(body.to_owned())).unwrap()).now_or_never().unwrap()
}

fn get(path: &str) -> Response {
    ask(http::Request::get(path), "")
}

fn text(response: &Response) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

/// Status, and the body as JSON.
fn json_of(response: &Response) -> (u16, Value) {
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

#[test]
fn a_page_of_another_origin_may_read_every_answer() {
    let with_origin = |path| ask(http::Request::get(path).header(ORIGIN, "http://grafana"), "");
    for path in ["/api/v1/query?query=1", "/api/v1/query?query=("] {
        let response = with_origin(path);
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert_eq!(response.headers()["access-control-allow-methods"], "GET, POST, OPTIONS");
        assert_eq!(response.headers()["access-control-expose-headers"], "Date");
        assert!(response.headers().get_all(VARY).iter().any(|value| value == "Origin"));
    }
    let preflight = ask(
        http::Request::builder().method(Method::OPTIONS).uri("/api/v1/anything").header(ORIGIN, "http://g"),
        "",
    );
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert!(!get("/api/v1/query?query=1").headers().contains_key("access-control-allow-origin"));
}

#[test]
fn wrong_paths_and_methods_are_answered_as_by_go() {
    for path in ["/api/v1/nope", "/api/v1/", "/api/v2/query", "/api/v1/label/job"] {
        let response = get(path);
        assert_eq!((response.status().as_u16(), text(&response).as_str()), (404, "404 page not found\n"));
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    }
    let put = ask(http::Request::put("/api/v1/query"), "");
    assert_eq!((put.status().as_u16(), text(&put).as_str()), (405, "Method Not Allowed\n"));
    assert_eq!(put.headers()["allow"], "GET, OPTIONS, POST");
    let post = ask(http::Request::post("/api/v1/rules"), "");
    assert_eq!(post.headers()["allow"], "GET, OPTIONS");
}

#[test]
fn a_form_is_read_whatever_the_case_of_its_content_type() {
    for content_type in
        ["application/x-www-form-urlencoded; charset=UTF-8", "APPLICATION/X-WWW-FORM-URLENCODED"]
    {
        let request = http::Request::post("/api/v1/query?query=2").header(CONTENT_TYPE, content_type);
        let (status, body) = json_of(&ask(request, "query=1%2B4&time=5"));
        assert_eq!((status, &body["data"]["result"]), (200, &json!([5, "5"])));
    }
}

#[test]
fn a_subquery_without_a_step_has_the_evaluation_interval() {
    let (_, body) = json_of(&get("/api/v1/query?query=count_over_time(up%7Binstance=%22i%22%7D[60s:])"));
    assert_eq!(body["data"]["result"][0]["value"][1], "6");
}

#[test]
fn metadata_is_given_by_family_and_by_target() {
    let data = |path: &str| json_of(&get(path)).1["data"].clone();
    let entry = |kind: &str, help: &str| json!({ "type": kind, "help": help, "unit": "" });
    let (one, two, b) = (entry("counter", "one"), entry("gauge", "two"), entry("unknown", ""));
    assert_eq!(data("/api/v1/metadata"), json!({ "a": [one, two], "b": [b] }));
    assert_eq!(data("/api/v1/metadata?limit=1"), json!({ "a": [one, two] }));
    assert_eq!(data("/api/v1/metadata?limit=0"), json!({}));
    assert_eq!(data("/api/v1/metadata?limit_per_metric=1"), json!({ "a": [one], "b": [b] }));
    assert_eq!(data("/api/v1/metadata?metric=b"), json!({ "b": [b] }));

    let labels = json!({ "instance": "i", "job": "node" });
    let of = |family: &str, kind: &str, help: &str| json!({ "target": labels, "metric": family, "type": kind, "help": help, "unit": "" });
    let all = json!([of("a", "counter", "one"), of("c", "info", "")]);
    assert_eq!(data("/api/v1/targets/metadata"), all);
    assert_eq!(data("/api/v1/targets/metadata?match_target=%7Bjob=%22node%22%7D&limit=1"), all);
    assert_eq!(data("/api/v1/targets/metadata?match_target=%7Bjob=%22other%22%7D"), json!([]));
    assert_eq!(data("/api/v1/targets/metadata?limit=0"), json!([]));
    let of_c = json!([{ "target": labels, "type": "info", "help": "", "unit": "" }]);
    assert_eq!(data("/api/v1/targets/metadata?metric=c"), of_c);
}

#[test]
fn exemplars_are_those_of_the_series_that_a_query_reads() {
    let data = |path: &str| json_of(&get(path)).1["data"].clone();
    let exemplars = json!([{ "labels": { "trace_id": "x\"" }, "value": "0.5", "timestamp": 999.999 }]);
    let of = |labels: Value| json!({ "seriesLabels": labels, "exemplars": exemplars });
    let up = [
        json!({ "__name__": "up", "instance": "i", "job": "n" }),
        json!({ "__name__": "up", "instance": "j" }),
    ];
    let both: Vec<Value> = up.iter().cloned().map(of).collect();
    assert_eq!(data("/api/v1/query_exemplars?query=sum(rate(up%5B1m%5D))"), json!(both));
    assert_eq!(data("/api/v1/query_exemplars?query=up&end=999"), json!([]));
    assert_eq!(get("/api/v1/query_exemplars?query=1").status(), 204);
}

#[test]
fn metadata_and_exemplars_check_their_parameters() {
    let error = |path| {
        let (status, body) = json_of(&get(path));
        assert_eq!(status, 400);
        body["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(error("/api/v1/metadata?limit=x"), "limit must be a number");
    assert_eq!(error("/api/v1/metadata?limit_per_metric=x"), "limit_per_metric must be a number");
    assert!(
        error("/api/v1/targets/metadata?match_target=%7B").starts_with("invalid parameter \"match_target\":")
    );
    let backwards = "/api/v1/query_exemplars?query=a&start=2&end=1";
    assert_eq!(error(backwards), "end timestamp must not be before start timestamp");
}

#[test]
fn federation_gives_the_last_samples_with_external_labels() {
    let response = get("/federate?match[]=up&match[]=%7Bjob=%22n%22%7D&match[]=%7B__name__=%22up%22%7D");
    let expected = concat!(
        "# TYPE a_b untyped\n",
        "a_b{job=\"n\",x_y=\"q\\\"\",cluster=\"c1\",instance=\"\"} 2.5 1000000\n",
        "# TYPE up untyped\n",
        "up{instance=\"i\",job=\"n\",cluster=\"c1\"} 1 1000000\n",
        "up{instance=\"j\",cluster=\"c1\",job=\"external\"} 0 1000000\n",
    );
    assert_eq!(text(&response), expected);
    assert_eq!(
        response.headers()[CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    );
    let accept = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6";
    let response =
        ask(http::Request::get("/federate?match[]=%7Bjob=%22n%22%7D").header("accept", accept), "");
    assert!(text(&response).starts_with("# TYPE \"a.b\" untyped\n{\"a.b\",job=\"n\",\"x.y\"=\"q\\\"\","));
    assert_eq!(text(&get("/federate")), "");
    let wrong = get("/federate?match[]=up%7B");
    assert_eq!((wrong.status().as_u16(), text(&wrong).ends_with("inside braces\n")), (400, true));
    assert_eq!(ask(http::Request::post("/federate"), "").status(), 405);
}

#[test]
fn rule_groups_are_sorted_and_given_by_pages() {
    let names = |data: &Value| -> Vec<String> {
        let groups = data["groups"].as_array().unwrap();
        groups.iter().map(|group| format!("{} {}", group["file"], group["name"]).replace('"', "")).collect()
    };
    let all = json_of(&get("/api/v1/rules")).1["data"].clone();
    assert_eq!(names(&all), ["a.yml y", "a.yml z", "b.yml x"]);
    assert_eq!(all["groups"][0]["rules"][0]["query"], "sum by (job) (up)");
    assert_eq!(all.get("groupNextToken"), None);
    let first = json_of(&get("/api/v1/rules?group_limit=2")).1["data"].clone();
    assert_eq!(names(&first), ["a.yml y", "a.yml z"]);
    let token = first["groupNextToken"].as_str().unwrap();
    let second = json_of(&get(&format!("/api/v1/rules?group_limit=2&group_next_token={token}"))).1;
    assert_eq!(names(&second["data"]), ["b.yml x"]);
    assert_eq!(second["data"].get("groupNextToken"), None);
    for (query, message) in [
        ("group_limit=0", "invalid parameter \"group_limit\": group_limit needs to be greater than 0"),
        (
            "group_limit=x",
            "invalid parameter \"group_limit\": group_limit needs to be a valid number: strconv.ParseInt: \
             parsing \"x\": invalid syntax",
        ),
        (
            "group_next_token=x",
            "invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the \
             groups",
        ),
        (
            "group_limit=1&group_next_token=x",
            "invalid parameter \"group_next_token\": invalid group_next_token 'x'. were rule groups changed?",
        ),
    ] {
        assert_eq!(json_of(&get(&format!("/api/v1/rules?{query}"))).1["error"], message);
    }
}

#[test]
fn targets_show_a_url_that_can_be_opened_elsewhere() {
    let (_, body) = json_of(&get("/api/v1/targets"));
    let target = &body["data"]["activeTargets"][0];
    assert_eq!(target["scrapeUrl"], "http://localhost:9100/metrics");
    assert_eq!(target["globalUrl"], "http://box:9100/metrics");
}

#[test]
fn blocks_are_shown_as_prometheus_describes_its_own() {
    let (_, body) = json_of(&get("/api/v1/status/tsdb/blocks"));
    let stats = json!({ "numSamples": 7, "numFloatSamples": 7, "numSeries": 2 });
    let expected = json!([
        {
            "ulid": "A", "minTime": 0, "maxTime": 300_000, "stats": stats, "version": 1,
            "compaction": { "level": 1, "sources": ["A"] },
        },
        {
            "ulid": "B", "minTime": 0, "maxTime": 300_000, "stats": stats, "version": 1,
            "compaction": { "level": 2, "parents": [{ "ulid": "C" }, { "ulid": "D" }] },
        },
    ]);
    assert_eq!(body["data"]["blocks"], expected);
}

#[test]
fn series_and_labels_tell_when_a_limit_cut_them() {
    let (_, body) = json_of(&get("/api/v1/series?match[]=up&limit=1"));
    assert_eq!(body["data"].as_array().unwrap().len(), 1);
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
    let (status, body) = json_of(&get("/api/v1/series?match[]=up&x=%zz"));
    assert_eq!(
        (status, body["error"].as_str()),
        (400, Some("error parsing form values: invalid URL escape \"%zz\""))
    );
}

#[test]
fn administrators_delete_series_as_in_prometheus() {
    let post = |admin, path: &str, body: &str| {
        let request = http::Request::post(format!("/api/v1/admin/tsdb/{path}"))
            .header("content-type", "application/x-www-form-urlencoded");
        let response = ask_as(admin, request, body);
        (response.status().as_u16(), text(&response))
    };
    let error = |kind: &str, message: &str| {
        format!(r#"{{"status":"error","errorType":"{kind}","error":"{message}"}}"#)
    };
    for path in ["delete_series?match[]=up", "clean_tombstones", "snapshot"] {
        assert_eq!(post(false, path, ""), (500, error("unavailable", "admin APIs disabled")), "{path}");
    }
    assert_eq!(post(true, "clean_tombstones", ""), (204, String::new()));
    assert_eq!(post(true, "delete_series", ""), (400, error("bad_data", "no match[] parameter provided")));
    let asked = post(true, "delete_series?start=1", "match[]=up&match[]=a&end=2.5");
    assert_eq!(asked, (400, error("bad_data", "2 sets, 1000 to 2500")));
    let all = format!("1 sets, {} to {}", crate::params::MIN_TIME, crate::params::MAX_TIME);
    assert_eq!(post(true, "delete_series", "match[]=up"), (400, error("bad_data", &all)));
    let (status, body) = post(true, "delete_series?match[]=up{", "");
    assert!(status == 400 && body.contains(r#"invalid parameter \"match[]\": "#), "{body}");
    assert_eq!(post(true, "snapshot", "").0, 500);
    let put = http::Request::put("/api/v1/admin/tsdb/clean_tombstones");
    assert_eq!(ask_as(true, put, "").status().as_u16(), 204);
    let get = ask_as(true, http::Request::get("/api/v1/admin/tsdb/clean_tombstones"), "");
    assert_eq!(
        (get.status().as_u16(), get.headers()["allow"].to_str().unwrap()),
        (405, "OPTIONS, POST, PUT")
    );
}
