//! Targets that misbehave cost their own samples only.

use std::time::{Duration, SystemTime};

use e2e::{BadTarget, Foxfire, NodeExporter, eventually, start_bad_target};

#[test]
fn a_bad_target_costs_only_its_own_samples_and_says_why() {
    let good = NodeExporter::start();
    let hangs = start_bad_target(BadTarget::Hangs);
    let fails = start_bad_target(BadTarget::Fails);
    let garbage = start_bad_target(BadTarget::Garbage);
    let huge = start_bad_target(BadTarget::Huge);
    let refused = format!("127.0.0.1:{}", e2e::free_port());
    let config = format!(
        "global: {{scrape_interval: 3s, scrape_timeout: 2s}}\n\
         scrape_configs:\n\
         - {{job_name: good, static_configs: [{{targets: ['{}']}}]}}\n\
         - {{job_name: bad, static_configs: [{{targets: ['{hangs}', '{fails}', '{garbage}', '{huge}', '{refused}']}}]}}\n",
        good.address
    );
    let foxfire = Foxfire::start(&config, &[], &[]);
    eventually("all six targets scraped", Duration::from_secs(30), || {
        let up = foxfire.query("up", None).len();
        if up == 6 { Ok(()) } else { Err(format!("{up} targets")) }
    });
    // Some more intervals, so that bad neighbours have their chance to do harm.
    std::thread::sleep(Duration::from_secs(18));

    let bad = foxfire.query("up{job=\"bad\"} == 0", None);
    assert_eq!(bad.len(), 5, "{bad:?}");
    // A batch becomes visible with its slowest target, so look at what is two time-outs old.
    let settled = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() - 4.0;
    let up = foxfire.query("up{job=\"good\"}[12s]", Some(settled));
    let values: Vec<&str> =
        up[0]["values"].as_array().unwrap().iter().filter_map(|point| point[1].as_str()).collect();
    // Four intervals; instants that waver by milliseconds may put one scrape outside.
    assert!(values.len() >= 3, "the good target has lost scrapes: {up:?}");
    assert!(values.iter().all(|value| *value == "1"), "the good target has failed: {up:?}");
    let foreign = foxfire.query("count({job=\"bad\", __name__!~\"up|scrape_.*\"})", None);
    assert!(foreign.is_empty(), "a failed scrape must leave no samples: {foreign:?}");

    let targets = foxfire.data("/api/v1/targets?state=active");
    let last_error = |address: &str| {
        let target = targets["activeTargets"].as_array().unwrap().iter();
        let mut target = target.filter(|target| target["labels"]["instance"] == *address);
        let target = target.next().unwrap_or_else(|| panic!("{address} is not a target: {targets}"));
        assert_eq!(target["health"], "down", "{target}");
        target["lastError"].as_str().unwrap().to_owned()
    };
    assert_eq!(last_error(&hangs), format!("Get \"http://{hangs}/metrics\": context deadline exceeded"));
    assert_eq!(last_error(&fails), "server returned HTTP status 500 Internal Server Error");
    let malformed = "strconv.ParseFloat: parsing \"is\": invalid syntax while parsing: \"this is\"";
    assert_eq!(last_error(&garbage), malformed);
    assert_eq!(last_error(&huge), "body size limit exceeded");
    let refusal =
        format!("Get \"http://{refused}/metrics\": dial tcp {refused}: connect: connection refused");
    assert_eq!(last_error(&refused), refusal);
}
