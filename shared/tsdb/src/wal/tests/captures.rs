//! The codec on real scrapes.

use std::io::Read;
use std::path::PathBuf;

use super::*;

/// The first `limit` bodies of a tar archive, with the timestamp in their names.
pub(crate) fn bodies(archive: PathBuf, limit: usize) -> Vec<(i64, String)> {
    let mut decoder = zstd::stream::read::Decoder::new(std::fs::File::open(archive).unwrap()).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut bodies = Vec::new();
    let mut header = [0u8; 512];
    while bodies.len() < limit && decoder.read_exact(&mut header).is_ok() && header[0] != 0 {
        let text = |range: std::ops::Range<usize>| {
            String::from_utf8_lossy(&header[range]).trim_end_matches(['\0', ' ']).to_owned()
        };
        let len = usize::from_str_radix(&text(124..136), 8).unwrap();
        let mut body = vec![0; len.next_multiple_of(512)];
        decoder.read_exact(&mut body).unwrap();
        body.truncate(len);
        let name = text(0..100);
        let timestamp = name.trim_end_matches(".txt").rsplit('_').next().and_then(|ms| ms.parse().ok());
        if let (Some(timestamp), b'0') = (timestamp, header[156]) {
            bodies.push((timestamp, String::from_utf8(body).unwrap()));
        }
    }
    bodies.sort();
    bodies
}

/// Just enough of the exposition format for these bodies: the text before the value is taken for one label.
pub(crate) fn samples(body: &str) -> Vec<ScrapeSample> {
    let lines = body.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, rest) = series.split_once('{').unwrap_or((series, ""));
            let mut labels =
                Labels::from_pairs([("__name__", name), ("instance", "localhost:9100"), ("job", "node")])
                    .to_builder();
            for pair in rest.trim_end_matches('}').split_inclusive("\",").filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once("=\"").unwrap();
                labels.set(name.trim(), value.trim_end_matches(',').trim_end_matches('"'));
            }
            ScrapeSample { labels: labels.build(), value: value.parse().unwrap(), timestamp: None }
        })
        .collect()
}

#[test]
fn real_scrapes_take_about_a_byte_a_sample() {
    let Some(folder) = fixtures::captures() else { return };
    for (archive, bytes_per_sample_max) in
        [("capture-node", 1.2), ("capture-prom", 1.4), ("capture-vm", 0.8), ("capture-push", 5.6)]
    {
        let mut cache = LayoutCache::default();
        let scrapes: Vec<Scrape> = bodies(folder.join(format!("{archive}.tar.zst")), 40)
            .into_iter()
            .map(|(timestamp, body)| scrape(7, timestamp, samples(&body)))
            .collect();
        let (mut bytes, mut count, mut layouts) = (0, 0, BTreeMap::new());
        for scrape in &scrapes {
            let segment = assert_round_trip(std::slice::from_ref(scrape), &mut cache);
            bytes += segment.payload.len();
            count += segment.summary.samples;
            layouts.extend(segment.layouts);
        }
        let together = encode(&scrapes, &mut LayoutCache::default());
        let layout_bytes: usize = layouts.values().map(bytes::Bytes::len).sum();
        let one = bytes as f64 / count as f64;
        println!(
            "{archive}: {} scrapes, {count} samples; {} bytes a scrape, {one:.3} B/sample; in one segment {:.3}; {} layouts of {} bytes",
            scrapes.len(),
            bytes / scrapes.len(),
            together.payload.len() as f64 / count as f64,
            layouts.len(),
            layout_bytes / layouts.len(),
        );
        assert!(one <= bytes_per_sample_max, "{archive}: {one} bytes a sample");
    }
}
