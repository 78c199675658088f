-- What sources said of metric families, for DuckDB: (metric_family, type, help, unit), each answer once.
-- For use beside docs/views.sql, which says where to run it; it fails where no block has metadata.
create or replace view metadata as
select distinct metric_family, type, help, unit from 'data/objects/block/*/*/metadata.parquet';
