//! Ten questions and one, asked in SQL of the blocks of a running system and in PromQL of its API: the same answers, to the
//! bit, or to 1e-12 where the order of additions is the engine's own.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::{Foxfire, NodeExporter, duckdb, eventually};
use serde_json::Value;

/// One question.
struct Question {
    name: &'static str,
    promql: Promql,
    /// Gives `(key, value)`: the key is the labels that PromQL leaves as JSON, and for steps the instant, ms.
    sql: &'static str,
    /// Whether values may differ in their last bits.
    rounds: bool,
}

enum Promql {
    /// An instant query.
    Instant(&'static str),
    /// Five instants, five seconds apart, the last of them the end.
    Steps(&'static str),
    /// Raw samples, and what is made of the values of each series.
    Raw(&'static str, fn(&[f64]) -> f64),
}

/// The sum of all that a counter has grown by, without guessing at what lies beyond its first and last sample.
fn growth(values: &[f64]) -> f64 {
    values
        .iter()
        .zip(&values[1..])
        .map(|(before, after)| if after < before { *after } else { after - before })
        .sum()
}

const STEP_MS: i64 = 5_000;
const STEPS: i64 = 5;

const QUESTIONS: &[Question] = &[
    Question {
        name: "the last value of a gauge",
        promql: Promql::Instant("node_memory_MemAvailable_bytes"),
        sql: "select key('__name__', metric, 'instance', labels['instance'], 'job', labels['job']), value \
              from live where metric = 'node_memory_MemAvailable_bytes'",
        rounds: false,
    },
    Question {
        name: "how many series each job has",
        promql: Promql::Instant("count by (job) ({__name__=~\".+\"})"),
        sql: "select key1('job', labels['job']), count(*) from live group by 1",
        rounds: false,
    },
    Question {
        name: "the sum of a counter over all machines",
        promql: Promql::Instant("sum(node_cpu_seconds_total)"),
        sql: "select '{}', sum(value) from live where metric = 'node_cpu_seconds_total'",
        rounds: true,
    },
    Question {
        name: "the highest value of a while",
        promql: Promql::Instant("max by (instance) (max_over_time(node_load1[1m]))"),
        sql: "select key1('instance', labels['instance']), max(value) from s \
              where metric = 'node_load1' and ts > $end - 60000 group by 1",
        rounds: false,
    },
    Question {
        name: "an average by label at aligned instants",
        promql: Promql::Steps("avg by (mode) (node_cpu_seconds_total)"),
        sql: "with last as (
                  select i, labels, arg_max(value, ts) as value, max(ts) as latest \
                  from s, (select unnest(range($end - 20000, $end + 1, 5000)) as i) \
                  where metric = 'node_cpu_seconds_total' and ts <= i and ts > i - 300000 group by all), \
              ended as (
                  select i, labels, max(ts) as ended \
                  from ends, (select unnest(range($end - 20000, $end + 1, 5000)) as i) \
                  where metric = 'node_cpu_seconds_total' and ts <= i group by all) \
              select key1('mode', labels['mode']) || ' ' || i, avg(value) from last left join ended using (i, labels) \
              where ended is null or ended < latest group by i, labels['mode']",
        rounds: true,
    },
    Question {
        name: "the growth of a counter, not extrapolated",
        promql: Promql::Raw("node_context_switches_total[1m]", growth),
        sql: "with steps as (
                  select metric, labels, value, lag(value) over (partition by labels order by ts) as before from s \
                  where metric = 'node_context_switches_total' and ts > $end - 60000) \
              select key('__name__', metric, 'instance', labels['instance'], 'job', labels['job']), \
                     sum(case when value < before then value else value - before end) \
              from steps group by all",
        rounds: false,
    },
    Question {
        name: "the largest five",
        promql: Promql::Instant("sum by (cpu, instance, mode) (topk(5, node_cpu_seconds_total{mode!=\"iowait\"}))"),
        sql: "select to_json(map{'cpu': labels['cpu'], 'instance': labels['instance'], 'mode': labels['mode']})::varchar, \
                     value \
              from live where metric = 'node_cpu_seconds_total' and labels['mode'] != 'iowait' \
              order by value desc limit 5",
        rounds: false,
    },
    Question {
        name: "which part of requests were fast",
        promql: Promql::Instant(
            "sum(prometheus_http_request_duration_seconds_bucket{le=\"0.4\"}) / \
             sum(prometheus_http_request_duration_seconds_bucket{le=\"+Inf\"})",
        ),
        sql: "select '{}', (sum(value) filter (labels['le'] = '0.4')) / (sum(value) filter (labels['le'] = '+Inf')) \
              from live where metric = 'prometheus_http_request_duration_seconds_bucket'",
        rounds: false,
    },
    Question {
        name: "how many series of a machine have ended",
        promql: Promql::Instant(
            "count by (instance) (last_over_time({job=\"node\"}[5m])) - count by (instance) ({job=\"node\"}) > 0",
        ),
        sql: "select key1('instance', labels['instance']), count(*) from ends e \
              where labels['job'] = 'node' and ts > $end - 300000 and not exists ( \
                  select 1 from live l where l.metric = e.metric and l.labels = e.labels) \
              group by 1",
        rounds: false,
    },
    Question {
        name: "two metrics together",
        promql: Promql::Instant(
            "sum by (instance, release) (node_memory_MemFree_bytes / on (instance) group_right () \
             (node_uname_info * on (instance) group_left node_memory_MemTotal_bytes))",
        ),
        sql: "select to_json(map{'instance': u.labels['instance'], 'release': u.labels['release']})::varchar, \
                     f.value / (u.value * t.value) \
              from live u join live t on t.labels['instance'] = u.labels['instance'] \
              join live f on f.labels['instance'] = u.labels['instance'] \
              where u.metric = 'node_uname_info' and t.metric = 'node_memory_MemTotal_bytes' \
                and f.metric = 'node_memory_MemFree_bytes'",
        rounds: false,
    },
    Question {
        name: "how much of a while targets were up",
        promql: Promql::Instant("100 * avg by (instance) (avg_over_time(up[1m]))"),
        sql: "select key1('instance', labels['instance']), 100 * avg(value) from s \
              where metric = 'up' and ts > $end - 60000 group by 1",
        rounds: true,
    },
];

const VIEWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/views.sql");

/// Arguments: the views, the live blocks' folders as JSON, the end, ms, and the questions as JSON.
const ASK: &str = r#"
import sys, json, duckdb
views, blocks, end, questions = open(sys.argv[1]).read(), json.loads(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
files = lambda name: '[' + ', '.join("'%s/%s'" % (block, name) for block in blocks) + ']'
samples, timelines = 'read_parquet(%s)' % files('samples-*.parquet'), 'read_parquet(%s)' % files('timelines.parquet')
views = views.replace("'data/objects/block/*/*/samples-*.parquet'", samples)
views = views.replace("'data/objects/block/*/*/timelines.parquet'", timelines)
db = duckdb.connect()
db.execute(views)
db.execute("create macro key1(a, av) as to_json(map{a: av})::varchar")
db.execute("create macro key(a, av, b, bv, c, cv) as to_json(map{a: av, b: bv, c: cv})::varchar")
db.execute("create table s as select * from samples where ts <= %d" % end)
db.execute("""create table ends as select metric, labels, ts from (
    select metric, labels, t.ts[s.start + s.n + 1] as ts
    from %s s join (select distinct on (tl) tl, ts from %s) t using (tl) where stale) where ts <= %d""" % (samples, timelines, end))
db.execute("""create table live as
    select metric, labels, value from (
        select metric, labels, arg_max(value, ts) as value, max(ts) as latest from s where ts > %d group by all) last
    left join (select metric, labels, max(ts) as ended from ends group by all) ended using (metric, labels)
    where ended is null or ended < latest""" % (end - 300000))
answers = {}
for name, sql in questions.items():
    rows = db.execute(sql.replace('$end', str(end))).fetchall()
    answers[name] = [[key, repr(float(value))] for key, value in rows]
print(json.dumps(answers))
"#;

type Answer = BTreeMap<String, f64>;

fn canonical(labels: &Value) -> String {
    let sorted: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
    serde_json::to_string(&sorted).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// What PromQL says.
fn by_promql(foxfire: &Foxfire, promql: &Promql, end: i64) -> Answer {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let instant = |expr: &str| foxfire.query(expr, Some(seconds(end)));
    match promql {
        Promql::Instant(expr) => {
            instant(expr).iter().map(|s| (canonical(&s["metric"]), number(&s["value"][1]))).collect()
        }
        Promql::Steps(expr) => {
            let expr: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
            let start = seconds(end - (STEPS - 1) * STEP_MS);
            let path = format!(
                "/api/v1/query_range?query={expr}&start={start}&end={}&step={}",
                seconds(end),
                seconds(STEP_MS)
            );
            let data = foxfire.data(&path);
            let mut answer = Answer::new();
            for series in data["result"].as_array().unwrap() {
                for point in series["values"].as_array().unwrap() {
                    let ms = (point[0].as_f64().unwrap() * 1000.0).round() as i64;
                    answer.insert(format!("{} {ms}", canonical(&series["metric"])), number(&point[1]));
                }
            }
            answer
        }
        Promql::Raw(expr, of) => instant(expr)
            .iter()
            .map(|series| {
                let values = series["values"].as_array().unwrap().iter();
                let values: Vec<f64> = values.map(|point| number(&point[1])).collect();
                (canonical(&series["metric"]), of(&values))
            })
            .collect(),
    }
}

fn key_of_sql(key: &str) -> String {
    let (labels, rest) = key.split_at(key.rfind('}').unwrap() + 1);
    canonical(&serde_json::from_str(labels).unwrap()) + rest
}

#[test]
fn sql_over_the_blocks_of_a_running_system_answers_as_promql_does() {
    let stays = NodeExporter::start();
    let goes = NodeExporter::start();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n\
         - job_name: node\n  static_configs: [{{targets: ['{}', '{}']}}]\n\
         - job_name: foxfire\n  static_configs: [{{targets: ['{{address}}']}}]\n",
        stays.address, goes.address
    );
    let foxfire = Foxfire::start(&config, &[], &["--storage.tsdb.min-block-duration=10s"]);
    let blocks = || foxfire.data("/api/v1/status/tsdb/blocks")["blocks"].as_array().unwrap().clone();
    std::thread::sleep(Duration::from_secs(20));
    drop(goes);
    std::thread::sleep(Duration::from_secs(12));
    let wanted = foxfire.query("time()", None).len();
    assert_eq!(wanted, 2, "a scalar is an instant and a value");
    let ended = foxfire.query("timestamp(up) * 1000", None)[0]["value"][1].clone();
    let ended: i64 = number(&ended) as i64;
    let live = eventually("blocks have it all", Duration::from_secs(120), || {
        let live = blocks();
        let max = live.iter().filter_map(|block| block["maxTime"].as_i64()).max();
        if max > Some(ended) { Ok(live) } else { Err(format!("blocks up to {max:?}, not {ended}")) }
    });
    let end = live.iter().filter_map(|block| block["maxTime"].as_i64()).max().unwrap() - 1;
    let data = foxfire.folder.path().join("data/objects/block/default");
    let folders: Vec<String> = live
        .iter()
        .filter(|block| block["stats"]["numSamples"] != 0)
        .map(|block| data.join(block["ulid"].as_str().unwrap()).display().to_string())
        .collect();
    let questions: BTreeMap<&str, &str> = QUESTIONS.iter().map(|q| (q.name, q.sql)).collect();
    let printed = duckdb(
        ASK,
        &[
            VIEWS,
            &serde_json::to_string(&folders).unwrap(),
            &end.to_string(),
            &serde_json::to_string(&questions).unwrap(),
        ],
    );
    let by_sql: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&printed).unwrap();
    for question in QUESTIONS {
        let name = question.name;
        let expected = by_promql(&foxfire, &question.promql, end);
        let rows = &by_sql[name];
        let found: Answer = rows.iter().map(|(key, v)| (key_of_sql(key), v.parse().unwrap())).collect();
        assert_eq!(rows.len(), found.len(), "{name}: a key twice in {rows:?}");
        assert!(!expected.is_empty(), "{name}: PromQL finds nothing");
        let keys = |answer: &Answer| answer.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&expected), "{name}");
        for (key, value) in &found {
            let expected = expected[key];
            let same = value.to_bits() == expected.to_bits();
            let close = question.rounds && (value - expected).abs() <= 1e-12 * expected.abs();
            assert!(same || close, "{name}: {key}: {value} in SQL, {expected} in PromQL");
        }
        println!("{name}: {} values, the same", found.len());
    }
}
