//! What an operator may tune, with defaults that fit a deployment on Lambda.

use crate::keys::{DAY_MS, HOUR_MS, Scope};

/// Settings of a store. All of a store's users must agree on those that decide what is read and kept: `scope`,
/// `staleness_gap_ms` and `chain_ms_max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is written and read. Default: `default`.
    pub scope: Scope,

    /// A segment that is not durable so long after its tick counts as missed (P12). Default: 60 s.
    pub late_bound_ms: i64,
    /// A tick is compacted no earlier than so long after it. Must exceed `late_bound_ms` by more than clocks differ
    /// and a single write may hang. Default: 120 s.
    pub grace_ms: i64,
    /// Ticks are compacted in whole windows of this length. Default: 5 min.
    pub window_ms: i64,
    /// Of two scrapes of a source whose ticks are further apart, the later ends no series of the earlier. Not below
    /// PromQL's lookback, or ended series would linger. Default: 10 min.
    pub staleness_gap_ms: i64,
    /// A larger payload goes to an object, a smaller into the segment's row. Default: 8 KiB, where an S3 PUT
    /// becomes cheaper than DynamoDB's write units.
    pub inline_bytes_max: usize,
    /// A segment with more samples than about this is cut into chunks of so many, which readers fetch and decode one by
    /// one. Default: 16,384.
    pub chunk_samples: usize,
    /// At most so many segments are coded one against the other, the first of them against nothing; 1 for none. Default:
    /// 20.
    pub chain_segments_max: u32,
    /// No segment is coded against those further back than this, ms, be it by way of others. What is kept for context is
    /// kept for so much longer. Default: 5 min.
    pub chain_ms_max: i64,
    /// Segments and layouts vanish so long after their day or writing. A compactor that has not run for so long loses
    /// samples, so it outlasts a long weekend. Default: 7 days.
    pub wal_expiry_ms: i64,
    /// Whether the collector deletes consumed segments before they expire: free locally, paid for on DynamoDB.
    /// Default: no.
    pub delete_consumed_rows: bool,

    /// Blocks with no sample younger than this are dropped; `None` keeps all. Default: 15 days, Prometheus's.
    pub retention_ms: Option<i64>,
    /// The oldest blocks are dropped while all together are larger than this; `None` keeps all. Default: `None`.
    pub retention_bytes: Option<u64>,
    /// How long after its end a window of level 2 (2 h) or 3 (1 day) is merged. Default: 10 min; 1 h.
    pub merge_delay_ms: [i64; 2],
    /// Late blocks wait so long for company before they are merged into an older block. Default: 1 h.
    pub late_delay_ms: i64,
    /// So many late blocks wait no longer. Default: 8.
    pub late_blocks_max: usize,
    /// At most so many blocks are merged at once. Default: 48.
    pub merge_inputs_max: usize,
    /// One job of level 1 takes segments until it has so many samples, which it holds in memory. Default: 20 million.
    pub job_samples_max: u64,
    /// One job of level 1 takes segments until their payloads have so many bytes. Default: 256 MiB.
    pub job_bytes_max: u64,
    /// A merge of more samples than this is recorded and done in parts, so that no commit of others undoes long work.
    /// Default: 50 million.
    pub merge_samples_max: u64,
    /// A part of a merge has about so many samples, which bounds the time that it takes. Default: 600 million.
    pub part_samples_max: u64,
    /// A part of a merge has about so many series. Default: 262,144.
    pub part_series_max: u64,
    /// Who has begun a part and not finished it after so long is taken for dead: longer than a function may run. Default:
    /// 16 min.
    pub part_lease_ms: i64,
    /// No part is begun by who has less time left. Default: 5 min.
    pub part_time_min_ms: i64,
    /// Samples that a merge holds decoded, over all its inputs; one series of each input at least. Default: 8 million.
    pub scan_samples_max: usize,

    /// Blocks that have left the manifest are kept so long, for queries that began before. Default: 5 min.
    pub query_grace_ms: i64,
    /// What nobody refers to is left alone while it is younger, so that attempts in flight are not wasted. Default:
    /// 15 min.
    pub orphan_age_ms: i64,

    /// Bytes of decoded segments kept in memory; and again so many of how they left their series, for what is coded
    /// against them. Default: 64 MiB.
    pub segment_cache_bytes: usize,
    /// Layouts kept in memory; one of more than 1,024 series counts as several. Default: 4096.
    pub layout_cache_entries: usize,
    /// Bytes of open blocks, their indexes above all, kept in memory; about. Default: 256 MiB.
    pub block_cache_bytes: usize,
    /// Bytes of blocks that are fetched or being fetched but not decoded yet, over all queries. Default: 256 MiB.
    pub fetch_bytes_max: u64,
    /// Reads in flight at once. Default: 16.
    pub concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            late_bound_ms: 60_000,
            grace_ms: 120_000,
            window_ms: 300_000,
            staleness_gap_ms: 600_000,
            inline_bytes_max: 8 << 10,
            chunk_samples: 16_384,
            chain_segments_max: 20,
            chain_ms_max: 300_000,
            wal_expiry_ms: 7 * DAY_MS,
            delete_consumed_rows: false,
            retention_ms: Some(15 * DAY_MS),
            retention_bytes: None,
            merge_delay_ms: [600_000, HOUR_MS],
            late_delay_ms: HOUR_MS,
            late_blocks_max: 8,
            merge_inputs_max: 48,
            job_samples_max: 20_000_000,
            job_bytes_max: 256 << 20,
            merge_samples_max: 50_000_000,
            part_samples_max: 600_000_000,
            part_series_max: 262_144,
            part_lease_ms: 960_000,
            part_time_min_ms: 300_000,
            scan_samples_max: 8_000_000,
            query_grace_ms: 300_000,
            orphan_age_ms: 900_000,
            segment_cache_bytes: 64 << 20,
            layout_cache_entries: 4096,
            block_cache_bytes: 256 << 20,
            fetch_bytes_max: 256 << 20,
            concurrency: 16,
        }
    }
}
