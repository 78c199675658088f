-- The samples of a data directory for DuckDB: (metric, labels, ts in ms, value).
-- Run it where `data/` is, or replace 'data/' by the directory's path; on S3 by the bucket's.
-- docs/format.md says what the columns are, and which blocks to leave out while a compaction is being cleaned up.
create or replace view samples as
select metric, labels, unnest(t.ts[s.start + 1 : s.start + s.n]) as ts,
       case when c is not null then c
            when f is not null then unnest(f)
            when r is not null then unnest(m) * mul / div + unnest(r) * ulp
            else unnest(m) * mul / div
       end as value
from 'data/objects/block/*/*/samples-*.parquet' s
join (select distinct on (tl) tl, ts from 'data/objects/block/*/*/timelines.parquet') t using (tl);
