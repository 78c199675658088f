//! SQL over what a block holds besides floats: histograms, exemplars, metadata.

use std::sync::Arc;

use e2e::duckdb;
use model::{Exemplar, FloatHistogram, Labels, Metadata, MetricType, Span};
use serde_json::{Value, json};
use storage::{HistogramColumn, Series, SeriesExemplars};
use tsdb::block::{BlockOptions, BlockWriter, object_key};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

/// Runs the views in the given files of `docs` over a folder, then a query; gives its rows.
fn sql(data: &std::path::Path, views: &[&str], query: &str) -> Value {
    const SCRIPT: &str = r"
import sys, json, duckdb
data, docs, views, query = sys.argv[1:]
db = duckdb.connect()
for view in views.split():
    db.execute(open(docs + '/' + view).read().replace(chr(39) + 'data/', chr(39) + data + '/'))
print(json.dumps(db.execute(query).fetchall()))
";
    let printed = duckdb(SCRIPT, &[&data.to_string_lossy(), DOCS, &views.join(" "), query]);
    serde_json::from_str(&printed).unwrap()
}

/// A histogram that the `n`th scrape finds, with buckets of both signs.
fn histogram(n: u32, fraction: f64) -> FloatHistogram {
    FloatHistogram {
        schema: 2,
        zero_threshold: 0.001,
        zero_count: f64::from(n),
        count: f64::from(n * 10) + fraction,
        sum: f64::from(n) * 0.75,
        positive_spans: vec![Span { offset: -1, length: 2 }, Span { offset: 2, length: 1 }],
        positive_buckets: vec![f64::from(n), f64::from(n * 2), f64::from(n * 3)],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        negative_buckets: vec![f64::from(n * 4) + fraction],
        ..FloatHistogram::default()
    }
}

fn histograms(instance: &str, values: impl Iterator<Item = FloatHistogram>) -> Series {
    let values: Arc<[Arc<FloatHistogram>]> = values.map(Arc::new).collect();
    let labels = Labels::from_pairs([("__name__", "latency"), ("instance", instance)]);
    let timestamps = (0..values.len() as i64).map(|n| 1_000 * n).collect();
    Series {
        histograms: HistogramColumn { timestamps, values },
        ..Series::floats(labels, Arc::default(), Arc::default())
    }
}

#[test]
fn histograms_exemplars_and_metadata_are_read_by_sql() {
    let mut writer = BlockWriter::new(BlockOptions::default());
    // Whole numbers, then the end of the series; and fractions.
    let ending = (1..4).map(|n| histogram(n, 0.0)).chain([FloatHistogram::stale()]);
    let series = histograms("a", ending);
    writer.push(&series).unwrap();
    writer.push(&histograms("b", (1..3).map(|n| histogram(n, 0.5)))).unwrap();
    let exemplar =
        Exemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: 0.25, timestamp: 1_234 };
    writer.push_exemplars(&SeriesExemplars { labels: series.labels, exemplars: vec![exemplar] }).unwrap();
    writer.push_metadata(&Metadata {
        metric_family: "latency".to_owned(),
        kind: MetricType::Histogram,
        help: "How long it takes.".to_owned(),
        unit: "seconds".to_owned(),
    });
    let folder = tempfile::tempdir().unwrap();
    for (name, body) in writer.finish().unwrap().files {
        let path = folder.path().join("objects").join(object_key("default/01", &name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    }

    let rows = sql(
        folder.path(),
        &["histograms.sql"],
        "select labels['instance'], ts, count, \"sum\", zero_count, positive_buckets, negative_buckets \
         from histograms where metric = 'latency' order by 1, 2",
    );
    assert_eq!(
        rows,
        json!([
            ["a", 0, 10.0, 0.75, 1.0, [1.0, 2.0, 3.0], [4.0]],
            ["a", 1000, 20.0, 1.5, 2.0, [2.0, 4.0, 6.0], [8.0]],
            ["a", 2000, 30.0, 2.25, 3.0, [3.0, 6.0, 9.0], [12.0]],
            ["b", 0, 10.5, 0.75, 1.0, [1.0, 2.0, 3.0], [4.5]],
            ["b", 1000, 20.5, 1.5, 2.0, [2.0, 4.0, 6.0], [8.5]],
        ])
    );
    let spans = sql(
        folder.path(),
        &["histograms.sql"],
        "select distinct \"schema\", zero_threshold, positive_offsets, positive_lengths, custom_values from histograms",
    );
    assert_eq!(spans, json!([[2, 0.001, [-1, 2], [2, 1], []]]));
    let exemplars = sql(
        folder.path(),
        &["exemplars.sql"],
        "select metric, labels['instance'], ts, value, exemplar['trace_id'] from exemplars",
    );
    assert_eq!(exemplars, json!([["latency", "a", 1234, 0.25, "abc"]]));
    let metadata = sql(folder.path(), &["metadata.sql"], "select * from metadata");
    assert_eq!(metadata, json!([["latency", "histogram", "How long it takes.", "seconds"]]));
}
