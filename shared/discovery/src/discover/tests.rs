use std::time::Duration;

use config::{AlertingConfig, ScrapeConfig};
use futures::FutureExt;
use model::Labels;

use super::*;
use crate::test_files::TestFiles;

fn file_sd(patterns: &[&str]) -> Config {
    let file_sd_configs = vec![FileSdConfig {
        files: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        refresh_interval: Duration::from_secs(300),
    }];
    let discovery = ServiceDiscovery { static_configs: Vec::new(), file_sd_configs };
    let job = ScrapeConfig { job_name: "files".to_owned(), discovery, ..ScrapeConfig::default() };
    Config { scrape_configs: vec![job], ..Config::default() }
}

fn run(config: &Config, files: &TestFiles, cache: &mut LastGood) -> DiscoveredPool {
    discover(config, files, cache).now_or_never().unwrap().pools.remove(0)
}

fn addresses(pool: &DiscoveredPool) -> Vec<&str> {
    pool.groups.iter().flat_map(|group| &group.targets).map(|target| target.value("__address__")).collect()
}

const YAML: &str = "- targets: ['a:1', b:2]\n  labels: {env: prod}\n- targets: [c]\n";
const JSON: &str = r#"[{"targets": ["d:4"], "labels": {"k": "v"}}]"#;

#[test]
fn target_files_are_read_in_both_formats() {
    let files = TestFiles::default();
    files.put("/sd/x.yml", YAML);
    files.put("/sd/y.json", JSON);
    let pool = run(&file_sd(&["/sd/*.yml", "/sd/y.json"]), &files, &mut LastGood::default());
    assert_eq!((addresses(&pool), &pool.errors), (vec!["a:1", "b:2", "c", "d:4"], &Vec::new()));
    let labels = Labels::from_pairs([("env", "prod"), ("__meta_filepath", "/sd/x.yml")]);
    assert_eq!(pool.groups[0].labels, labels);
    let sources: Vec<&str> = pool.groups.iter().map(|group| group.source.as_str()).collect();
    assert_eq!(sources, ["/sd/x.yml:0", "/sd/x.yml:1", "/sd/y.json:0"]);
}

#[test]
fn a_file_that_breaks_keeps_its_groups_and_one_that_vanishes_does_not() {
    let files = TestFiles::default();
    let config = file_sd(&["/sd/*.yml"]);
    let mut cache = LastGood::default();
    files.put("/sd/x.yml", YAML);
    run(&config, &files, &mut cache);
    for broken in ["- targets: foo\n", "- null\n", "- targetz: []\n", "{", "a: b\n"] {
        files.put("/sd/x.yml", broken);
        let pool = run(&config, &files, &mut cache);
        assert_eq!((addresses(&pool).len(), pool.errors.len()), (3, 1), "{broken}: {:?}", pool.errors);
        assert!(pool.errors[0].starts_with("error reading file /sd/x.yml: "), "{:?}", pool.errors);
    }
    files.break_file("/sd/x.yml");
    let pool = run(&config, &files, &mut cache);
    assert_eq!(addresses(&pool).len(), 3);
    assert_eq!(pool.errors, ["error reading file /sd/x.yml: open /sd/x.yml: permission denied"]);
    files.remove("/sd/x.yml");
    assert_eq!(
        run(&config, &files, &mut cache),
        DiscoveredPool { job_name: "files".to_owned(), ..Default::default() }
    );
    // It starts anew when it is there again.
    files.break_file("/sd/x.yml");
    assert_eq!(addresses(&run(&config, &files, &mut cache)), Vec::<&str>::new());
}

#[test]
fn what_no_pattern_names_is_forgotten() {
    let files = TestFiles::default();
    files.put("/sd/x.yml", YAML);
    let mut cache = LastGood::default();
    run(&file_sd(&["/sd/x.yml"]), &files, &mut cache);
    let none = Config { alerting: AlertingConfig::default(), ..Config::default() };
    discover(&none, &files, &mut cache).now_or_never().unwrap();
    files.break_file("/sd/x.yml");
    assert_eq!(addresses(&run(&file_sd(&["/sd/x.yml"]), &files, &mut cache)), Vec::<&str>::new());
}

#[test]
fn a_malformed_json_file_is_refused_in_go_s_words() {
    for (text, error) in [
        (r#"[{"label": {}, "targets": []}]"#, "json: unknown field \"label\""),
        (r#"{"targets": []}"#, "json: cannot unmarshal object into Go value of type []*targetgroup.Group"),
        (
            r#"[{"targets": "a"}]"#,
            "json: cannot unmarshal string into Go struct field .targets of type []string",
        ),
        (r#"[{"targets": ["a"]}, null]"#, "nil target group item found"),
        (r#"[{"labels": {"": "a"}}]"#, "\"\" is not a valid label name"),
    ] {
        assert_eq!(crate::json::target_groups(text).unwrap_err(), error);
    }
    assert!(crate::json::target_groups("[{\"targets\": [").is_err());
    assert!(crate::json::target_groups(&"[".repeat(100_000)).is_err());
    assert_eq!(crate::json::target_groups("null"), Ok(Vec::new()));
}

#[test]
fn discovery_can_run_on_any_thread() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let (config, files, mut cache) = (Config::default(), TestFiles::default(), LastGood::default());
    let future = assert_send(discover(&config, &files, &mut cache));
    assert_eq!(future.now_or_never(), Some(Discovered::default()));
}
