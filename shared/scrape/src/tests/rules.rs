//! One target: what is fetched, what is kept, and what is said about the rest.

use std::time::Duration;

use config::{Authorization, BasicAuth, ScrapeConfig, ScrapeLimits, ScrapeProtocol, Secret, SecretSource};
use model::Labels;
use model::regex::AnchoredRegex;
use model::relabel::{RelabelAction, RelabelConfig};
use platform::{Clock, FetchError};
use proptest::prelude::*;

use super::world::*;

const OK: Duration = Duration::ZERO;
const URL: &str = "http://host:9100/metrics";

fn relabel(
    action: RelabelAction,
    source: &str,
    regex: &str,
    target: &str,
    replacement: &str,
) -> RelabelConfig {
    RelabelConfig {
        source_labels: if source.is_empty() { Vec::new() } else { vec![source.to_owned()] },
        separator: ";".to_owned(),
        regex: AnchoredRegex::new(regex).unwrap(),
        regex_text: regex.to_owned(),
        modulus: 0,
        target_label: target.to_owned(),
        replacement: replacement.to_owned(),
        action,
    }
}

fn with_limits(limits: ScrapeLimits) -> ScrapeConfig {
    ScrapeConfig { limits, ..pool() }
}

#[test]
fn a_scrape_is_its_samples_and_five_report_series() {
    let world = World::new();
    world.reply(URL, Reply::After(Duration::from_millis(250), Ok(text("a 1\nb{c=\"d\"} 2.5\n"))));
    let scrape = scrape_once(&world, &pool());
    assert_eq!(samples(&scrape), [r#"{__name__="a"} 1"#, r#"{__name__="b", c="d"} 2.5"#]);
    assert_eq!(report(&scrape), [1.0, 2.0, 2.0, 2.0]);
    assert_eq!(value(&scrape, "scrape_duration_seconds"), Some(0.25));
    assert_eq!((scrape.timestamp, scrape.outcome.duration), (START, Duration::from_millis(250)));
    assert_eq!(scrape.outcome.error, None);
    let target_labels = [("instance", "host:9100"), ("job", "node")];
    assert!(
        scrape
            .samples
            .iter()
            .all(|sample| target_labels.iter().all(|(n, v)| sample.labels.get(n) == Some(v)))
    );
    assert_eq!(scrape.samples.len(), 7);
}

#[test]
fn a_target_is_asked_as_prometheus_asks() {
    let world = World::new();
    world.expose("");
    world.file("/secrets/password", " hunter2\n");
    let password = SecretSource::File("/secrets/password".to_owned());
    let mut config = pool();
    config.http.basic_auth = Some(BasicAuth { username: "u".to_owned(), password });
    scrape_once(&world, &config);
    let credentials = SecretSource::Inline(Secret::new("token"));
    config.http.basic_auth = None;
    config.http.authorization = Some(Authorization { scheme: "Bearer".to_owned(), credentials });
    config.enable_compression = false;
    scrape_once(&world, &config);
    let requests = world.requests.lock().unwrap();
    let header = |index: usize, name: &str| {
        requests[index].headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(
        header(0, "Accept"),
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
    );
    assert_eq!(header(0, "Accept-Encoding"), "gzip");
    assert_eq!(header(0, "User-Agent"), concat!("foxfire/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header(0, "X-Prometheus-Scrape-Timeout-Seconds"), "10");
    assert_eq!(header(0, "Authorization"), "Basic dTpodW50ZXIy");
    assert_eq!(
        (header(1, "Authorization"), header(1, "Accept-Encoding")),
        ("Bearer token".into(), "identity".into())
    );
    assert_eq!(requests[0].timeout, Duration::from_secs(10));
    assert_eq!(requests[0].body_bytes_max, (64 << 20) - 1);
}

#[test]
fn a_failure_leaves_only_the_report_and_is_told_in_prometheus_words() {
    let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
    let html = answer(200, "200 OK", "text/html", "<html>");
    for (reply, expected) in [
        (Reply::Hang, format!("Get \"{URL}\": context deadline exceeded")),
        (Reply::After(OK, Err(FetchError::Timeout)), format!("Get \"{URL}\": context deadline exceeded")),
        (Reply::After(OK, Err(FetchError::Connect(refused.to_owned()))), format!("Get \"{URL}\": {refused}")),
        (Reply::After(OK, Err(FetchError::BodyTooLarge)), "body size limit exceeded".to_owned()),
        (
            Reply::After(OK, Ok(answer(500, "500 Internal Server Error", "text/plain", "a 1\n"))),
            "server returned HTTP status 500 Internal Server Error".to_owned(),
        ),
        (
            Reply::After(OK, Ok(html)),
            "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target"
                .to_owned(),
        ),
        (
            Reply::After(OK, Ok(answer(200, "200 OK", "", "a 1\n"))),
            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for \
             target"
                .to_owned(),
        ),
    ] {
        let world = World::new();
        world.reply(URL, reply);
        let scrape = scrape_once(&world, &pool());
        assert_eq!(error(&scrape), expected);
        assert_eq!(report(&scrape), [0.0; 4], "{expected}");
        assert_eq!(scrape.samples.len(), 5, "{expected}");
    }
}

#[test]
fn garbage_costs_the_whole_scrape_and_is_counted_up_to_the_error() {
    let scrape = scrape_body("a 1\nb 2\nc {{{ 3\n", &pool());
    let expected = r#"expected label name, got "{" ("INVALID") while parsing: "c {{""#;
    assert_eq!(error(&scrape), expected);
    assert_eq!((scrape.samples.len(), report(&scrape)), (5, [0.0, 2.0, 2.0, 2.0]));
}

#[test]
fn an_unreadable_password_file_fails_the_scrape_without_a_request() {
    let world = World::new();
    world.expose("a 1\n");
    let mut config = pool();
    let password = SecretSource::File("/none".to_owned());
    config.http.basic_auth = Some(BasicAuth { username: "u".to_owned(), password });
    let scrape = scrape_once(&world, &config);
    assert_eq!(
        error(&scrape),
        "Get \"http://host:9100/metrics\": unable to read basic auth password: error reading file /none: open /none: \
         no such file or directory"
    );
    assert!(world.requests.lock().unwrap().is_empty());
}

#[test]
fn a_fallback_protocol_reads_what_names_no_format() {
    let world = World::new();
    world.reply(URL, Reply::After(OK, Ok(answer(200, "200 OK", "", "a 1\n"))));
    let fallback_scrape_protocol = Some(ScrapeProtocol::PrometheusText0_0_4);
    let scrape = scrape_once(&world, &ScrapeConfig { fallback_scrape_protocol, ..pool() });
    assert_eq!((error(&scrape), samples(&scrape).len()), ("", 1));
}

#[test]
fn an_empty_body_is_a_scrape_without_samples() {
    let world = World::new();
    world.reply(URL, Reply::After(OK, Ok(answer(200, "200 OK", "", ""))));
    assert_eq!(report(&scrape_once(&world, &pool())), [1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_body_that_reaches_the_limit_is_too_large() {
    let config = with_limits(ScrapeLimits { body_bytes_max: 8, ..ScrapeLimits::default() });
    assert_eq!(error(&scrape_body("abc 123\n", &config)), "body size limit exceeded");
    assert_eq!(error(&scrape_body("abc 12\n", &config)), "");
}

#[test]
fn the_target_wins_over_what_is_exposed_unless_labels_are_honoured() {
    let body = "a{job=\"x\",exported_job=\"y\",instance=\"\"} 1\n";
    let scrape = scrape_body(body, &pool());
    let labels = Labels::from_pairs([
        ("__name__", "a"),
        ("job", "node"),
        ("exported_job", "y"),
        ("exported_exported_job", "x"),
        ("instance", "host:9100"),
    ]);
    assert_eq!(scrape.samples[0].labels, labels);
    let scrape = scrape_body(body, &ScrapeConfig { honor_labels: true, ..pool() });
    let labels = Labels::from_pairs([("__name__", "a"), ("job", "x"), ("exported_job", "y")]);
    assert_eq!(scrape.samples[0].labels, labels);
}

#[test]
fn metric_relabelling_sees_the_target_labels_and_may_drop() {
    let config = ScrapeConfig {
        metric_relabel_configs: vec![
            relabel(RelabelAction::Drop, "__name__", "go_.*", "", "$1"),
            relabel(RelabelAction::Replace, "job", "(.*)", "from", "$1"),
            relabel(RelabelAction::LabelDrop, "", "noise", "", "$1"),
        ],
        ..pool()
    };
    let scrape = scrape_body("go_x 1\na{noise=\"1\"} 2\n", &config);
    assert_eq!(samples(&scrape), [r#"{__name__="a", from="node"} 2"#]);
    assert_eq!(report(&scrape), [1.0, 2.0, 1.0, 1.0]);
}

#[test]
fn a_series_must_keep_a_name_and_have_each_label_once() {
    let nameless = ScrapeConfig {
        metric_relabel_configs: vec![relabel(RelabelAction::LabelDrop, "", "__name__", "", "$1")],
        ..pool()
    };
    assert_eq!(error(&scrape_body("a 1\n", &nameless)), "missing metric name (__name__ label)");
    let twice = "a{b=\"1\",b=\"2\"} 1\n";
    assert_eq!(error(&scrape_body(twice, &pool())), "label name \"b\" is not unique: invalid sample");
    let without = ScrapeConfig {
        metric_relabel_configs: vec![relabel(RelabelAction::LabelDrop, "", "b", "", "$1")],
        ..pool()
    };
    assert_eq!(samples(&scrape_body(twice, &without)), [r#"{__name__="a"} 1"#]);
}

#[test]
fn limits_reject_the_whole_scrape_in_prometheus_words() {
    let base = ScrapeLimits::default();
    let body = "abc{label=\"a value\"} 1\nb 2\nc 3\n";
    let long = format!("a{{l=\"{}\"}} 1\n", "é\"".repeat(40));
    for (limits, body, expected) in [
        (ScrapeLimits { samples_max: 2, ..base }, body, "sample limit exceeded"),
        (
            ScrapeLimits { labels_max: 3, ..base },
            body,
            "label_limit exceeded (metric: abc, number of labels: 4, limit: 3)",
        ),
        (
            ScrapeLimits { label_name_bytes_max: 7, ..base },
            body,
            "label_name_length_limit exceeded (metric: abc, label name: __name__, length: 8, limit: 7)",
        ),
        (
            ScrapeLimits { label_value_bytes_max: 9, ..base },
            "a{l=\"0123456789\"} 1\n",
            "label_value_length_limit exceeded (metric: a, label name: l, value: \"0123456789\", length: 10, limit: 9)",
        ),
    ] {
        let scrape = scrape_body(body, &with_limits(limits));
        assert_eq!(error(&scrape), expected);
        assert_eq!((scrape.samples.len(), report(&scrape)[0]), (5, 0.0));
    }
    let scrape = scrape_body(
        &long.replace("é\"", "é\\\""),
        &with_limits(ScrapeLimits { label_value_bytes_max: 20, ..base }),
    );
    let value = format!("\"{}\"", "é\\\"".repeat(25));
    let expected = format!("label name: l, value: {value}, length: 120, limit: 20)");
    assert!(error(&scrape).ends_with(&expected), "{}", error(&scrape));
}

#[test]
fn a_scrape_over_the_sample_limit_still_says_how_many_samples_there_were() {
    let limits = ScrapeLimits { samples_max: 2, ..ScrapeLimits::default() };
    let scrape = scrape_body("a 1\nb 2\nc 3\nd 4\n", &with_limits(limits));
    assert_eq!(report(&scrape), [0.0, 4.0, 4.0, 2.0]);
    assert_eq!(error(&scrape_body("a 1\nb 2\na 3\n", &with_limits(limits))), "");
}

#[test]
fn timestamps_are_honoured_within_bounds_or_ignored() {
    let at = |ms: i64| START + ms;
    let body = format!("a 1 {}\nold 1 {}\nfuture 1 {}\nb 1\n", at(-5_000), at(-3_600_001), at(600_001));
    let world = World::new();
    world.expose(body.clone());
    let scraper = scraper();
    let scrape = scrape_with(&scraper, &world, &pool());
    assert_eq!(samples(&scrape), [r#"{__name__="a"} 1 @-5000"#, r#"{__name__="b"} 1"#]);
    assert_eq!((report(&scrape), scraper.counts().out_of_bounds_samples), ([1.0, 4.0, 4.0, 2.0], 2));
    let scrape = scrape_body(&body, &ScrapeConfig { honor_timestamps: false, ..pool() });
    assert_eq!(samples(&scrape).len(), 4);
    assert!(scrape.samples.iter().all(|sample| sample.timestamp.is_none()));
}

#[test]
fn of_duplicates_the_first_wins_and_of_instants_the_newest() {
    let drop_c = ScrapeConfig {
        metric_relabel_configs: vec![relabel(RelabelAction::LabelDrop, "", "c", "", "$1")],
        ..pool()
    };
    let at = |ms: i64| START + ms;
    let body = format!(
        "a 1\na 2\nb{{c=\"1\"}} 3\nb{{c=\"2\"}} 4\nd 5 {}\nd 6 {}\nd 7 {}\nd 8 {}\n",
        at(-2000),
        at(-1000),
        at(-3000),
        at(-1000)
    );
    let world = World::new();
    world.expose(body);
    let scraper = scraper();
    let scrape = scrape_with(&scraper, &world, &drop_c);
    assert_eq!(
        samples(&scrape),
        [r#"{__name__="a"} 1"#, r#"{__name__="b"} 3"#, r#"{__name__="d"} 6 @-1000"#]
    );
    assert_eq!(report(&scrape), [1.0, 8.0, 8.0, 3.0]);
    let counts = scraper.counts();
    assert_eq!((counts.duplicate_samples, counts.out_of_order_samples), (3, 1));
}

#[test]
fn a_report_series_that_the_target_exposes_stays_as_exposed() {
    let scrape = scrape_body("up 7\n", &pool());
    assert_eq!(value(&scrape, "up"), Some(7.0));
    assert_eq!(scrape.samples.len(), 5);
}

#[test]
fn series_added_counts_what_the_last_complete_scrape_lacked() {
    let (world, scraper) = (World::new(), scraper());
    let added = |body: &str| {
        world.expose(body.to_owned());
        world.pass(Duration::from_secs(15));
        report(&scrape_with(&scraper, &world, &pool()))[3]
    };
    assert_eq!(added("a 1\nb 1\n"), 2.0);
    assert_eq!(added("a 1\nb 1\nc 1\n"), 1.0);
    assert_eq!(added("a 1\n"), 0.0);
    assert_eq!(added("a 1\nb 1\n"), 1.0);
    assert_eq!(added("a 1\nb 1\nx 1\n{"), 1.0);
    assert_eq!(added(""), 0.0);
    assert_eq!(added("a 1\nb 1\nx 1\n"), 1.0);
}

#[test]
fn a_target_that_must_not_be_fetched_fails_with_its_reason() {
    let world = World::new();
    let mut target = target();
    target.forced_error = Some("target_limit exceeded (number of targets: 3, limit: 2)".to_owned());
    let source = storage::SourceId(1);
    let scraper = scraper();
    let scrape = world.run(scraper.scrape(source, &target, &pool(), START, world.ports()));
    assert_eq!(error(&scrape), "target_limit exceeded (number of targets: 3, limit: 2)");
    assert_eq!(scrape.samples.len(), 5);
}

#[test]
fn a_scrape_that_starts_nearly_when_due_gets_the_instant_it_was_due() {
    for (late_ms, expected) in [(0, 0), (2, 0), (3, 3)] {
        let world = World::new();
        world.expose("");
        world.pass(Duration::from_millis(late_ms));
        let (target, scraper) = (target(), scraper());
        let scrape = world.run(scraper.scrape(storage::SourceId(1), &target, &pool(), START, world.ports()));
        assert_eq!(scrape.timestamp - START, expected);
    }
    let world = World::new();
    world.expose("");
    world.pass(Duration::from_millis(2));
    let (mut target, scraper) = (target(), scraper());
    target.interval_ms = 100;
    let scrape = world.run(scraper.scrape(storage::SourceId(1), &target, &pool(), START, world.ports()));
    assert_eq!(scrape.timestamp, world.now_ms());
}

proptest! {
    /// The memory of a scraper shows in nothing but the count of added series.
    #[test]
    fn a_warm_scraper_writes_what_a_cold_one_writes(
        bodies in proptest::collection::vec(
            proptest::collection::vec(
                "(# TYPE [ab] (histogram|summary|gauge)|[ab](_bucket)?(\\{(le|c|job)=\"[01]\"(,d=\"[01]\")?\\})? [0-9]( 1700000100[0-9]00)?|x)",
                0..12
            ),
            1..6
        ),
        honor_labels in any::<bool>(),
        drop_label in any::<bool>(),
    ) {
        let mut config = ScrapeConfig { honor_labels, ..pool() };
        if drop_label {
            config.metric_relabel_configs = vec![relabel(RelabelAction::LabelDrop, "", "d", "", "$1")];
        }
        let (world, warm) = (World::new(), scraper());
        for lines in bodies {
            world.expose(lines.join("\n"));
            let (warm, cold) = (scrape_with(&warm, &world, &config), scrape_once(&world, &config));
            prop_assert_eq!(samples(&warm), samples(&cold));
            prop_assert_eq!(&report(&warm)[..3], &report(&cold)[..3]);
            prop_assert_eq!(error(&warm), error(&cold));
            let mut labels: Vec<&Labels> = warm.samples.iter().map(|sample| &sample.labels).collect();
            labels.sort();
            labels.dedup();
            prop_assert_eq!(labels.len(), warm.samples.len());
        }
    }
}

#[test]
fn metadata_is_what_the_body_says_and_shared_while_it_says_the_same() {
    let (world, scraper) = (World::new(), scraper());
    let body = "# TYPE b counter\n# HELP b Counts \\\\ and \\n.\nb 1\n# HELP a A.\na 1\n# TYPE a gauge\n";
    let said = |scrape: &storage::Scrape| -> Vec<String> {
        let show = |m: &model::Metadata| format!("{} {} {}", m.metric_family, m.kind.as_str(), m.help);
        scrape.metadata.iter().map(show).collect()
    };
    let scrape = |body: &str| {
        world.expose(body.to_owned());
        world.pass(Duration::from_secs(15));
        scrape_with(&scraper, &world, &pool())
    };
    let first = scrape(body);
    assert_eq!(said(&first), ["a gauge A.", "b counter Counts \\ and \n."]);
    let second = scrape(&body.replace("b 1", "b 2"));
    assert!(std::sync::Arc::ptr_eq(&first.metadata, &second.metadata));
    let changed = scrape("# TYPE b gauge\nb 1\n# TYPE c counter\n# TYPE c gauge\n");
    assert_eq!(said(&changed), ["b gauge ", "c gauge "]);
    assert_eq!(said(&scrape("b 1\n")), ["b gauge ", "c gauge "], "a body that says nothing changes nothing");
    assert_eq!(said(&scrape("not {{{ a body\n")), [""; 0], "a failed scrape has nothing");
}
