-- The exemplars of a data directory for DuckDB: (metric, labels, ts in ms, value, exemplar), the last being its own labels.
-- For use beside docs/views.sql, which says where to run it; it fails where no block has exemplars.
create or replace view exemplars as
select distinct metric, labels, ts, value, exemplar from 'data/objects/block/*/*/exemplars.parquet';
