//! Real bodies of four exporters.

use std::io::Read;
use std::time::Duration;

use super::world::*;

/// Every so many bodies of a capture are scraped: enough to see series come and go.
const STRIDE: usize = 16;
/// The captures were packed with a window of 2^27 bytes.
const WINDOW_LOG: u32 = 27;
const TAR_BLOCK: usize = 512;

/// The bodies of a capture in the order of their instants; none, after a note, where it is not there.
fn capture(name: &str) -> Vec<Vec<u8>> {
    let Some(captures) = fixtures::captures() else { return Vec::new() };
    let packed = std::fs::File::open(captures.join(format!("{name}.tar.zst"))).unwrap();
    let mut decoder = zstd::stream::read::Decoder::new(packed).unwrap();
    decoder.window_log_max(WINDOW_LOG).unwrap();
    let mut tar = Vec::new();
    decoder.read_to_end(&mut tar).unwrap();
    let mut files = files_of_tar(&tar);
    files.sort();
    files.into_iter().map(|(_, body)| body.to_vec()).collect()
}

/// Names and contents of the plain files of a tar archive.
fn files_of_tar(tar: &[u8]) -> Vec<(String, &[u8])> {
    let mut files = Vec::new();
    let mut at = 0;
    while let Some(header) = tar.get(at..at + TAR_BLOCK).filter(|header| header[0] != 0) {
        let field = |from: usize, to: usize| {
            let text = header[from..to].split(|byte| *byte == 0).next().unwrap();
            String::from_utf8(text.to_vec()).unwrap()
        };
        let size = usize::from_str_radix(field(124, 136).trim(), 8).unwrap();
        let content = &tar[at + TAR_BLOCK..at + TAR_BLOCK + size];
        if matches!(header[156], b'0' | 0) {
            files.push((field(0, 100), content));
        }
        at += TAR_BLOCK + size.next_multiple_of(TAR_BLOCK);
    }
    files
}

#[test]
fn real_exporters_scrape_completely() {
    for (name, series_min) in
        [("capture-node", 1_000), ("capture-prom", 400), ("capture-vm", 600), ("capture-push", 10)]
    {
        let (world, scraper) = (World::new(), scraper());
        let mut series_before: Option<usize> = None;
        for body in capture(name).into_iter().step_by(STRIDE) {
            let lines =
                body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count();
            world.expose(body);
            world.pass(Duration::from_secs(15));
            let scrape = scrape_with(&scraper, &world, &pool());
            assert_eq!(error(&scrape), "", "{name}");
            let [up, scraped, kept, added] = report(&scrape);
            assert_eq!((up, scraped, kept), (1.0, lines as f64, lines as f64), "{name}");
            assert!(lines >= series_min, "{name}: {lines} samples");
            assert!(samples(&scrape).len() + 5 >= lines, "{name}");
            if let Some(before) = series_before {
                assert!(
                    added as usize <= lines.abs_diff(before) + lines / 10,
                    "{name}: {added} of {lines} are new"
                );
            }
            series_before = Some(lines);
        }
        let counts = scraper.counts();
        assert_eq!(
            (counts.failed, counts.duplicate_samples, counts.out_of_order_samples),
            (0, 0, 0),
            "{name}"
        );
    }
}
