//! A simulated platform whose requests are counted, and in which every request takes one second: so the time that work took is
//! the number of its rounds, the longest chain of requests each of which had to wait for the one before.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use platform::Objects;
use platform_sim::{Latency, World, WorldOptions};
use tsdb::block::{BlockOptions, BlockWriter, WrittenBlock, object_key};
use tsdb::keys::Keys;
use tsdb::{Ports, Scope};
use wire::{BlockFile, BlockMeta, Head, Manifest};
use xxhash_rust::xxh3::xxh3_64;

use crate::Outcome;
use crate::counting::{CountingObjects, CountingRows, ObjectCounts, RowCounts};
use crate::data::DataSet;

/// Half of a request's virtual time: the simulation waits before and after its effect.
const HALF_ROUND: Duration = Duration::from_millis(500);

/// A world, and its ports that count.
#[derive(Debug)]
pub struct Lab {
    /// Time, and what is stored.
    pub world: World,
    /// Its objects.
    pub objects: Arc<CountingObjects>,
    /// Its rows.
    pub rows: Arc<CountingRows>,
}

/// A result, and what it took.
#[derive(Clone, Debug)]
pub struct Measured<T> {
    /// The result.
    pub output: T,
    /// What was asked of the objects.
    pub objects: ObjectCounts,
    /// What was asked of the rows.
    pub rows: RowCounts,
    /// Requests that had to wait for one another.
    pub rounds: u64,
}

impl Lab {
    /// An empty world at `now`, ms since the epoch, that counts rounds.
    #[must_use]
    pub fn new(now: i64) -> Self {
        Self::with_latency(now, HALF_ROUND)
    }

    /// An empty world at `now`, ms since the epoch, in which requests take no time: for work that must keep to a
    /// schedule. It counts no rounds.
    #[must_use]
    pub fn without_latency(now: i64) -> Self {
        Self::with_latency(now, Duration::ZERO)
    }

    fn with_latency(now: i64, half: Duration) -> Self {
        let latency = Latency { min: half, max: half };
        let world = World::with(WorldOptions { start_ms: now, latency, ..WorldOptions::new(1) });
        let platform = world.platform();
        let objects = Arc::new(CountingObjects::new(platform.objects));
        let rows = Arc::new(CountingRows::new(platform.rows));
        Self { world, objects, rows }
    }

    /// The ports that a store needs.
    #[must_use]
    pub fn ports(&self) -> Ports {
        let platform = self.world.platform();
        Ports {
            objects: Arc::<CountingObjects>::clone(&self.objects),
            rows: Arc::<CountingRows>::clone(&self.rows),
            clock: platform.clock,
            entropy: platform.entropy,
        }
    }

    /// Runs work to its end and says what it took.
    ///
    /// # Errors
    /// Where it waits for ever.
    pub fn measure<F: Future>(&self, work: F) -> Outcome<Measured<F::Output>> {
        self.objects.take();
        self.rows.take();
        let clock = self.world.platform().clock;
        let before = clock.monotonic_ns();
        let output = match self.world.run(work) {
            platform_sim::Ended::Done(output) => output,
            ended => return Err(format!("a simulated run did not end: {:?}", ended_text(&ended)).into()),
        };
        let took = Duration::from_nanos(clock.monotonic_ns().saturating_sub(before));
        let rounds = took.as_millis().div_ceil(HALF_ROUND.as_millis() * 2) as u64;
        Ok(Measured { output, objects: self.objects.take(), rows: self.rows.take(), rounds })
    }

    /// Lets the time pass until `now`, ms, if it is not there yet.
    pub fn wait_until(&self, now: i64) {
        let wait = u64::try_from(now.saturating_sub(self.world.now_ms())).unwrap_or(0);
        self.world.run_for(Duration::from_millis(wait));
    }

    /// Stores a block's files.
    ///
    /// # Errors
    /// Where an object is there already.
    pub fn store_block(&self, block: &WrittenBlock, meta: &BlockMeta) -> Outcome<()> {
        for (name, bytes) in &block.files {
            let key = object_key(&meta.id, name);
            self.measure(self.objects.create(&key, bytes.clone()))?.output?;
        }
        Ok(())
    }

    /// Makes these blocks all that a store of the default scope has.
    ///
    /// # Errors
    /// Where there is a head already.
    pub fn commit(&self, blocks: Vec<BlockMeta>) -> Outcome<()> {
        let keys = Keys::new(Scope::default());
        let watermark = blocks.iter().map(|block| block.max_time).max().unwrap_or(0);
        let manifest = Manifest { v: 1, blocks, ..Manifest::default() };
        let body = Bytes::from(wire::encode(&manifest));
        let key = keys.manifest("01ARZ3NDEKTSV4RRFFQ69G5FAV", &body);
        self.measure(self.objects.create(&key, body))?.output?;
        let head = Bytes::from(wire::encode(&Head { v: 1, manifest: Some(key), watermark }));
        let rows = self.ports().rows;
        self.measure(rows.compare_and_set(&keys.head(), 0, head))?.output?;
        Ok(())
    }
}

fn ended_text<T>(ended: &platform_sim::Ended<T>) -> &'static str {
    match ended {
        platform_sim::Ended::Done(_) => "done",
        platform_sim::Ended::Crashed => "crashed",
        platform_sim::Ended::Stalled => "stalled",
    }
}

/// Writes a data set as one block.
///
/// # Errors
/// Where the writer refuses a series.
pub fn write_block(data: &DataSet, options: BlockOptions) -> Outcome<WrittenBlock> {
    let mut writer = BlockWriter::new(options);
    for series in &data.series {
        writer.push(series)?;
    }
    Ok(writer.finish()?)
}

/// What a manifest says of a written block.
#[must_use]
pub fn block_meta(block: &WrittenBlock) -> BlockMeta {
    let file = |(name, bytes): &(String, Bytes)| BlockFile {
        name: name.clone(),
        len: bytes.len() as u64,
        checksum: format!("{:016x}", xxh3_64(bytes)),
    };
    BlockMeta {
        id: "default/01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        level: 3,
        min_time: block.stats.min_time,
        max_time: block.stats.max_time.saturating_add(1),
        samples: block.stats.samples,
        series: block.stats.series,
        set_hash: format!("{:032x}", block.stats.set_hash),
        files: block.files.iter().map(file).collect(),
        parents: Vec::new(),
        series_range: None,
    }
}

/// Bytes of all files of a block.
#[must_use]
pub fn block_bytes(block: &WrittenBlock) -> u64 {
    block.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}
