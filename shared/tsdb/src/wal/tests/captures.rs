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

/// The recorded scrapes of one target, in order.
fn recorded(archive: &str, limit: usize) -> Option<Vec<Scrape>> {
    let folder = fixtures::captures()?;
    let bodies = bodies(folder.join(format!("{archive}.tar.zst")), limit);
    Some(bodies.into_iter().map(|(timestamp, body)| scrape(7, timestamp, samples(&body))).collect())
}

/// Bytes and samples of segments of one scrape each; of the keyframes, and of those that are coded against them.
fn in_segments(scrapes: &[Scrape]) -> ((usize, u64), (usize, u64)) {
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let (mut keyframes, mut deltas) = ((0, 0), (0, 0));
    for scrape in scrapes {
        let one = std::slice::from_ref(scrape);
        let segment = shelf.write(&key(scrape.timestamp), one, &mut cache, &EncodeOptions::default());
        let sum = if segment.summary.deltas > 0 { &mut deltas } else { &mut keyframes };
        sum.0 += segment.payload.len();
        sum.1 += segment.summary.samples;
    }
    (keyframes, deltas)
}

#[test]
fn real_scrapes_take_about_half_a_byte_a_sample() {
    for (archive, bytes_per_sample_max) in
        [("capture-node", 0.5), ("capture-prom", 0.3), ("capture-vm", 0.2), ("capture-push", 1.7)]
    {
        let Some(scrapes) = recorded(archive, 60) else { return };
        let (keyframes, deltas) = in_segments(&scrapes);
        let share = |(bytes, samples): (usize, u64)| bytes as f64 / samples as f64;
        println!(
            "{archive}: {} samples a scrape; keyframes {:.3} B/sample, against the scrape before {:.3} ({} bytes a scrape)",
            deltas.1 / 57,
            share(keyframes),
            share(deltas),
            deltas.0 / 57,
        );
        assert!(share(deltas) <= bytes_per_sample_max, "{archive}: {} bytes a sample", share(deltas));
    }
}

/// As many targets as wanted from the scrapes of one: each is at another point of the record, under another name.
fn targets(recorded: &[Scrape], count: usize, round: usize) -> Vec<Scrape> {
    let target = |number: usize| {
        let mut scrape = recorded[(number * 3 + round) % recorded.len()].clone();
        scrape.source = SourceId(number as u64 + 100);
        // Spread over the interval, as targets are.
        scrape.timestamp = 1_700_000_000_000 + round as i64 * 15_000 + number as i64 * 149;
        scrape.outcome.duration = Duration::from_nanos(12_345_678 + (number * 7919 + round * 104_729) as u64);
        scrape
    };
    (0..count).map(target).collect()
}

#[test]
fn a_real_scrape_takes_one_write_unit_with_its_row_and_key() {
    let Some(scrapes) = recorded("capture-node", 20) else { return };
    let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
    let mut largest = 0;
    for mut scrape in scrapes {
        scrape.outcome.duration = Duration::from_nanos(12_345_678);
        let key = key(scrape.timestamp / 15_000 * 15_000);
        let segment = shelf.write(&key, &[scrape], &mut cache, &EncodeOptions::default());
        if segment.summary.deltas > 0 {
            let row = crate::segment_row::SegmentRow::new(
                key.clone(),
                &segment.summary,
                crate::segment_row::Payload::Inline(segment.payload),
            );
            // Both keys, and names and the expiry as attributes.
            let keys = crate::keys::Keys::new(crate::Scope::default()).segment(&key).unwrap();
            largest = largest.max(row.encode().len() + keys.partition.len() + keys.sort.len() + 40);
        }
    }
    println!("largest row: {largest} bytes");
    assert!((1..=1024).contains(&largest), "{largest}");
}

#[test]
fn segments_of_a_hundred_targets_take_less_than_a_byte_a_sample() {
    let Some(recorded) = recorded("capture-node", 60) else { return };
    for (count, rounds) in [(10, 8), (100, 3)] {
        let (mut shelf, mut cache) = (Shelf::default(), LayoutCache::default());
        let (mut bytes, mut samples, mut keyframe) = (0, 0, 0.0);
        for round in 0..rounds {
            let scrapes = targets(&recorded, count, round);
            let key = key(1_700_000_000_000 + round as i64 * 15_000);
            let segment = shelf.write(&key, &scrapes, &mut cache, &EncodeOptions::default());
            if segment.summary.deltas == 0 {
                keyframe = segment.summary.bytes as f64 / segment.summary.samples as f64;
                continue;
            }
            bytes += segment.summary.bytes;
            samples += segment.summary.samples;
        }
        let share = bytes as f64 / samples as f64;
        println!("{count} targets: keyframe {keyframe:.3} B/sample, then {share:.3}");
        assert!(share <= 0.5 && keyframe <= 1.2, "{share}");
    }
}
