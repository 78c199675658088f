//! How fast blocks are written and read: one core, in memory.

use std::sync::Arc;

use platform::Objects;
use tsdb::block::{BlockOptions, BlockReader};

use crate::Outcome;
use crate::data::DataSet;
use crate::lab::{Lab, block_meta, write_block};
use crate::stopwatch::{best_of, millions_per_second};
use crate::table::Table;

/// Speeds of each set, the best of `repeat`.
///
/// # Errors
/// Where a block cannot be written or read.
pub fn run(sets: &[(DataSet, bool)], repeat: usize) -> Outcome<Table> {
    let mut table = Table::new(
        format!("Speed, million samples a second and core, best of {repeat}"),
        &[
            "set",
            "encode, zstd 3",
            "encode, zstd 9",
            "decode, all series",
            "decode, counting only series that vary",
        ],
    );
    for (data, _) in sets {
        let stats = data.stats();
        let mut cells = vec![data.name.clone()];
        let mut block = None;
        for zstd_level in [3, 9] {
            let options = BlockOptions { zstd_level, ..BlockOptions::default() };
            let (written, took) = best_of(repeat, || write_block(data, options.clone()));
            block = Some(written?);
            cells.push(format!("{:.0}", millions_per_second(stats.samples, took)));
        }
        let block = block.ok_or("nothing was written")?;
        let meta = block_meta(&block);
        let lab = Lab::new(meta.max_time);
        lab.store_block(&block, &meta)?;
        let objects: Arc<dyn Objects> = Arc::<crate::counting::CountingObjects>::clone(&lab.objects);
        let reader = lab.measure(BlockReader::open(objects, &meta))?.output?;
        let (read, took) = best_of(repeat, || {
            lab.measure(async {
                let (mut scan, mut samples) = (reader.scan(), 0);
                while let Some(batch) = scan.next().await? {
                    samples += batch.iter().map(|series| series.values.len() as u64).sum::<u64>();
                }
                Outcome::Ok(samples)
            })
        });
        if read?.output? != stats.samples {
            return Err("a scan did not give every sample".into());
        }
        cells.push(format!("{:.0}", millions_per_second(stats.samples, took)));
        cells.push(format!("{:.0}", millions_per_second(stats.varying_samples, took)));
        table.row(cells);
    }
    table.note("Decoding is a scan: read, check, decompress, decode to f64, with labels and instants, as `Series`. The last column divides the samples of series that vary by the time for all.");
    Ok(table)
}
