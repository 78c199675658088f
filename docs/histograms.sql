-- The native histograms of a data directory for DuckDB: a row a sample, buckets as lists.
-- `schema`, the spans (offset and length of each) and `custom_values` say which buckets they are, as in Prometheus;
-- `hint`: 0 unknown, 1 counter reset, 2 no counter reset, 3 gauge. Stale markers are left out.
-- For use beside docs/views.sql, which says where to run it; it fails where no block has histograms.
create or replace view histograms as
with runs as (
    select h.*, t.ts[h.start + 1 : h.start + h.n] as times,
           coalesce(h.counts::double[], h.float_counts) as c,
           coalesce(list_sum(h.positive_lengths), 0)::bigint as p,
           coalesce(list_sum(h.negative_lengths), 0)::bigint as q
    from 'data/objects/block/*/*/histograms-*.parquet' h
    join (select distinct on (tl) tl, ts from 'data/objects/block/*/*/timelines.parquet') t using (tl)
),
numbered as (select *, unnest(range(n)) as i from runs)
select metric, labels, times[i + 1] as ts,
       c[i + 1] as count, "sum"[i + 1] as "sum", c[n + i + 1] as zero_count, zero_threshold, "schema", hint,
       positive_offsets, positive_lengths, [c[(2 + b) * n + i + 1] for b in range(p)] as positive_buckets,
       negative_offsets, negative_lengths, [c[(2 + p + b) * n + i + 1] for b in range(q)] as negative_buckets,
       custom_values
from numbered;
