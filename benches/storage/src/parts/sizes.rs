//! Bytes a sample, beside the peers'.

use std::sync::Arc;

use platform::Objects;
use tsdb::block::{BlockOptions, BlockReader};

use crate::Outcome;
use crate::data::DataSet;
use crate::lab::{Lab, block_bytes, block_meta, write_block};
use crate::peers::{Peer, prometheus, victoria_metrics};
use crate::table::{Table, at_most, count, percent};

/// zstd levels of young blocks, and of those of a day.
const LEVELS: [i32; 2] = [3, 9];
/// Length of the blocks of level 2, ms.
const TWO_HOURS_MS: i64 = 7_200_000;

/// Most bytes a sample of the recorded scrapes, as one block.
pub const REAL_BYTES_MAX: f64 = 0.38;
/// Most of what Prometheus takes.
const OF_PROMETHEUS_MAX: f64 = 0.22;
/// Most of what VictoriaMetrics takes of the recorded scrapes, and of a generated day.
const OF_VICTORIA_MAX: [f64; 2] = [0.70, 0.57];

/// Sizes of each set; `peers` says whether the peers take part.
///
/// # Errors
/// Where something fails, or a sample does not come back as it was.
pub fn run(sets: &[(DataSet, bool)]) -> Outcome<Vec<Table>> {
    let mut sizes = Table::new(
        "Size, everything included (labels, indexes, footers, timelines), bytes a sample",
        &[
            "set",
            "samples",
            "foxfire day block (zstd 9)",
            "zstd 3",
            "blocks of 2 h (zstd 3)",
            "Prometheus",
            "VictoriaMetrics",
        ],
    );
    let mut gates = Table::new("Size against the gates", &["set", "gate", "figure", "limit", "verdict"]);
    for (data, with_peers) in sets {
        let real = data.name.starts_with("real");
        let samples = data.samples() as f64;
        let [fast, small] = LEVELS.map(|level| day_bytes(data, level));
        let (fast, small) = (fast?, small?);
        let mut cells = vec![data.name.clone(), count(data.samples())];
        cells.extend([small, fast, two_hour_bytes(data)?].map(|bytes| per_sample(bytes, samples)));
        if real {
            let figure = small as f64 / samples;
            gates.row(gate(&data.name, "bytes a sample", figure, REAL_BYTES_MAX, 3));
        }
        if *with_peers {
            let peer = prometheus(data)?;
            cells.push(peer_cell(&peer, samples));
            if let Ok(peer) = &peer {
                let figure = small as f64 / peer.bytes as f64;
                gates.row(gate(&data.name, "part of Prometheus", figure, OF_PROMETHEUS_MAX, 3));
            }
            note_peer(&mut sizes, &data.name, "Prometheus", &peer);
            let peer = victoria_metrics(data)?;
            cells.push(peer_cell(&peer, samples));
            if let Ok(peer) = &peer {
                let figure = small as f64 / peer.bytes as f64;
                let limit = OF_VICTORIA_MAX[usize::from(!real)];
                gates.row(gate(&data.name, "part of VictoriaMetrics", figure, limit, 3));
            }
            note_peer(&mut sizes, &data.name, "VictoriaMetrics", &peer);
        }
        sizes.row(cells);
    }
    sizes.note("Every sample of every foxfire block was read back and has the same bits and instants.");
    Ok(vec![sizes, gates])
}

/// The kinds of samples that each set has.
#[must_use]
pub fn data(sets: &[(DataSet, bool)]) -> Table {
    let header =
        ["set", "series", "samples", "constant series", "samples unlike the one before", "NaNs left out"];
    let mut table = Table::new("Data", &header);
    for (data, _) in sets {
        let stats = data.stats();
        table.row([
            data.name.clone(),
            count(stats.series),
            count(stats.samples),
            percent(stats.constant_series as f64, stats.series as f64),
            percent(stats.changes as f64, stats.samples as f64),
            count(data.nans_left_out),
        ]);
    }
    table.note("NaNs (quantiles of nothing) and stale markers are left out for all three systems: VictoriaMetrics' import cannot carry them.");
    table
}

fn gate(set: &str, what: &str, figure: f64, limit: f64, decimals: usize) -> [String; 5] {
    let verdict = at_most(figure, limit).to_owned();
    [set.to_owned(), what.to_owned(), format!("{figure:.decimals$}"), format!("{limit:.2}"), verdict]
}

fn per_sample(bytes: u64, samples: f64) -> String {
    format!("{:.4}", bytes as f64 / samples)
}

fn peer_cell(peer: &Peer, samples: f64) -> String {
    match peer {
        Ok(size) => {
            let index = size.index_bytes as f64 / samples;
            format!("{} (index {index:.3})", per_sample(size.bytes, samples))
        }
        Err(skipped) => skipped.clone(),
    }
}

fn note_peer(table: &mut Table, set: &str, name: &str, peer: &Peer) {
    let Ok(size) = peer else { return };
    let inexact = size.inexact.map_or(String::new(), |inexact| {
        let part = percent(inexact as f64, size.samples as f64);
        format!("; {} of {} samples ({part}) come back with other bits", count(inexact), count(size.samples))
    });
    let bare = (size.bytes - size.index_bytes) as f64 / size.samples.max(1) as f64;
    table.note(format!("{name} on {set}: {}; without its index {bare:.4}{inexact}.", size.remark));
}

/// Bytes of a set as one block, each sample of which was read back.
///
/// # Errors
/// Where a sample does not come back as it was.
pub fn day_bytes(data: &DataSet, zstd_level: i32) -> Outcome<u64> {
    let block = write_block(data, BlockOptions { zstd_level, ..BlockOptions::default() })?;
    let meta = block_meta(&block);
    let lab = Lab::new(meta.max_time);
    lab.store_block(&block, &meta)?;
    let objects: Arc<dyn Objects> = Arc::<crate::counting::CountingObjects>::clone(&lab.objects);
    let read = lab.measure(async {
        let reader = BlockReader::open(objects, &meta).await?;
        let mut scan = reader.scan();
        let mut expected = data.series.iter();
        while let Some(batch) = scan.next().await? {
            for series in batch {
                let expected = expected.next().ok_or("a series too many")?;
                let same = series.labels == expected.labels
                    && series.timestamps == expected.timestamps
                    && series.values.len() == expected.values.len()
                    && series
                        .values
                        .iter()
                        .zip(expected.values.iter())
                        .all(|(a, b)| a.to_bits() == b.to_bits());
                if !same {
                    return Err(format!("{} came back changed", expected.labels).into());
                }
            }
        }
        if expected.next().is_some() {
            return Err("series are missing".into());
        }
        Outcome::Ok(())
    })?;
    read.output?;
    Ok(block_bytes(&block))
}

/// Bytes of a set as blocks of two hours.
fn two_hour_bytes(data: &DataSet) -> Outcome<u64> {
    let (first, last) = data.times();
    let (mut bytes, mut from) = (0, first.div_euclid(TWO_HOURS_MS) * TWO_HOURS_MS);
    while from <= last {
        let part = data.between(from, from + TWO_HOURS_MS);
        bytes += block_bytes(&write_block(&part, BlockOptions::default())?);
        from += TWO_HOURS_MS;
    }
    Ok(bytes)
}
