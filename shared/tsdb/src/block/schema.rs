//! The columns of a block's files, and how each is written.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{
    DeltaBinaryPackedEncoderOptions, EnabledStatistics, WriterProperties, WriterPropertiesBuilder,
};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

/// Version of the layout, in the key-value metadata of each file.
pub(super) const FORMAT_VERSION: &str = "1";
/// Name of the timelines file.
pub(super) const TIMELINES_FILE: &str = "timelines.parquet";
/// Name of the exemplars file.
pub(super) const EXEMPLARS_FILE: &str = "exemplars.parquet";
/// Name of the metadata file.
pub(super) const METADATA_FILE: &str = "metadata.parquet";
/// What the names of samples files begin with.
pub(super) const SAMPLES_PREFIX: &str = "samples-";
/// What the names of histograms files begin with.
pub(super) const HISTOGRAMS_PREFIX: &str = "histograms-";

/// Key-value metadata: the layout's version.
pub(super) const FORMAT_KEY: &str = "foxfire.format";
/// Key-value metadata: which foxfire wrote the file.
pub(super) const WRITER_KEY: &str = "foxfire.version";
/// Key-value metadata: the earliest instant in the file, ms.
pub(super) const MIN_TIME_KEY: &str = "foxfire.min_time";
/// Key-value metadata: the latest instant in the file, ms, inclusive.
pub(super) const MAX_TIME_KEY: &str = "foxfire.max_time";
/// Key-value metadata: checksums of the footer and of the offset indexes.
pub(super) const CHECKSUMS_KEY: &str = "foxfire.checksums";

/// Leaf columns of a samples file.
pub(super) mod samples {
    pub(in crate::block) const METRIC: usize = 0;
    pub(in crate::block) const LABEL_NAME: usize = 1;
    pub(in crate::block) const LABEL_VALUE: usize = 2;
    pub(in crate::block) const TL: usize = 3;
    pub(in crate::block) const START: usize = 4;
    pub(in crate::block) const N: usize = 5;
    pub(in crate::block) const STALE: usize = 6;
    pub(in crate::block) const MUL: usize = 7;
    pub(in crate::block) const DIV: usize = 8;
    pub(in crate::block) const ULP: usize = 9;
    pub(in crate::block) const C: usize = 10;
    pub(in crate::block) const M: usize = 11;
    pub(in crate::block) const R: usize = 12;
    pub(in crate::block) const F: usize = 13;
    pub(in crate::block) const COUNT: usize = 14;
}

/// Leaf columns of a histograms file; the first seven are those of a samples file.
pub(super) mod histograms {
    pub(in crate::block) const SCHEMA: usize = 7;
    pub(in crate::block) const ZERO_THRESHOLD: usize = 8;
    pub(in crate::block) const HINT: usize = 9;
    pub(in crate::block) const POSITIVE_OFFSETS: usize = 10;
    pub(in crate::block) const POSITIVE_LENGTHS: usize = 11;
    pub(in crate::block) const NEGATIVE_OFFSETS: usize = 12;
    pub(in crate::block) const NEGATIVE_LENGTHS: usize = 13;
    pub(in crate::block) const CUSTOM_VALUES: usize = 14;
    pub(in crate::block) const SUM: usize = 15;
    pub(in crate::block) const COUNTS: usize = 16;
    pub(in crate::block) const FLOAT_COUNTS: usize = 17;
    pub(in crate::block) const COUNT: usize = 18;
}

/// Leaf columns of the exemplars file; the first three are those of a samples file.
pub(super) mod exemplars {
    pub(in crate::block) const TS: usize = 3;
    pub(in crate::block) const VALUE: usize = 4;
    pub(in crate::block) const LABEL_NAME: usize = 5;
    pub(in crate::block) const LABEL_VALUE: usize = 6;
    pub(in crate::block) const COUNT: usize = 7;
}

/// Leaf columns of the metadata file.
pub(super) mod metadata {
    pub(in crate::block) const METRIC_FAMILY: usize = 0;
    pub(in crate::block) const TYPE: usize = 1;
    pub(in crate::block) const HELP: usize = 2;
    pub(in crate::block) const UNIT: usize = 3;
    pub(in crate::block) const COUNT: usize = 4;
}

/// Leaf columns of a timelines file.
pub(super) mod timelines {
    pub(in crate::block) const TL: usize = 0;
    pub(in crate::block) const TS: usize = 1;
    pub(in crate::block) const COUNT: usize = 2;
}

const SAMPLES_SCHEMA: &str = "
message samples {
  required binary metric (STRING);
  required group labels (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required int64 tl;
  required int32 start;
  required int32 n;
  required boolean stale;
  optional double mul;
  optional double div;
  optional double ulp;
  optional double c;
  optional group m (LIST) { repeated group list { required int64 element; } }
  optional group r (LIST) { repeated group list { required int64 element; } }
  optional group f (LIST) { repeated group list { required double element; } }
}";

const HISTOGRAMS_SCHEMA: &str = "
message histograms {
  required binary metric (STRING);
  required group labels (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required int64 tl;
  required int32 start;
  required int32 n;
  required boolean stale;
  required int32 schema;
  required double zero_threshold;
  required int32 hint;
  required group positive_offsets (LIST) { repeated group list { required int32 element; } }
  required group positive_lengths (LIST) { repeated group list { required int32 element; } }
  required group negative_offsets (LIST) { repeated group list { required int32 element; } }
  required group negative_lengths (LIST) { repeated group list { required int32 element; } }
  required group custom_values (LIST) { repeated group list { required double element; } }
  optional group sum (LIST) { repeated group list { required double element; } }
  optional group counts (LIST) { repeated group list { required int64 element; } }
  optional group float_counts (LIST) { repeated group list { required double element; } }
}";

const EXEMPLARS_SCHEMA: &str = "
message exemplars {
  required binary metric (STRING);
  required group labels (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required int64 ts;
  required double value;
  required group exemplar (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
}";

const METADATA_SCHEMA: &str = "
message metadata {
  required binary metric_family (STRING);
  required binary type (STRING);
  required binary help (STRING);
  required binary unit (STRING);
}";

const TIMELINES_SCHEMA: &str = "
message timelines {
  required int64 tl;
  required group ts (LIST) { repeated group list { required int64 element; } }
}";

/// Rows a page of the index columns.
const INDEX_PAGE_ROWS: usize = 1024;
/// Rows a page of the value columns.
const VALUE_PAGE_ROWS: usize = 32;
/// Bytes a page of the value columns, before compression; one row may exceed it.
const VALUE_PAGE_BYTES: usize = 32 << 10;
/// The writer looks at page limits only after so many levels, so this bounds how far rows without values overshoot.
const WRITE_BATCH_LEVELS: usize = 16;
/// Index columns and timelines are small: their levels matter little.
const INDEX_ZSTD_LEVEL: i32 = 3;
const TIMELINES_ZSTD_LEVEL: i32 = 9;

/// Schema and properties of one kind of file.
#[derive(Clone, Debug)]
pub(super) struct FileKind {
    pub(super) schema: Arc<SchemaDescriptor>,
    pub(super) properties: Arc<WriterProperties>,
}

impl FileKind {
    /// Samples files whose values are compressed at `zstd_level`.
    pub(super) fn samples(zstd_level: i32) -> Result<Self, ParquetError> {
        let mut builder = common()?.set_sorting_columns(Some(vec![SortingColumn {
            column_idx: samples::METRIC as i32,
            descending: false,
            nulls_first: false,
        }]));
        for name in ["metric", "tl", "mul", "div", "ulp", "c"] {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
        }
        for leaf in ["key", "value"] {
            builder = builder.set_column_dictionary_enabled(path(&["labels", "key_value", leaf]), true);
        }
        for name in ["start", "n"] {
            builder = builder.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
        }
        builder = builder.set_column_statistics_enabled(ColumnPath::from("metric"), EnabledStatistics::Page);
        for name in ["m", "r", "f"] {
            let column = path(&[name, "list", "element"]);
            let encoding = if name == "f" { Encoding::PLAIN } else { Encoding::DELTA_BINARY_PACKED };
            builder = builder
                .set_column_encoding(column.clone(), encoding)
                .set_column_compression(column.clone(), zstd(zstd_level)?)
                .set_column_data_page_row_count_limit(column.clone(), VALUE_PAGE_ROWS)
                .set_column_data_page_size_limit(column, VALUE_PAGE_BYTES);
        }
        Self::new(SAMPLES_SCHEMA, builder)
    }

    /// Histograms files whose counts are compressed at `zstd_level`.
    pub(super) fn histograms(zstd_level: i32) -> Result<Self, ParquetError> {
        let mut builder = sorted_by_metric(common()?);
        for name in ["tl", "schema", "zero_threshold", "hint"] {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
        }
        for name in ["start", "n"] {
            builder = builder.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
        }
        let spans = ["positive_offsets", "positive_lengths", "negative_offsets", "negative_lengths"];
        for name in spans.into_iter().chain(["custom_values"]) {
            builder = builder.set_column_dictionary_enabled(path(&[name, "list", "element"]), true);
        }
        for name in ["sum", "counts", "float_counts"] {
            let encoding = if name == "counts" { Encoding::DELTA_BINARY_PACKED } else { Encoding::PLAIN };
            builder = paged_values(builder, name, encoding, zstd_level)?;
        }
        Self::new(HISTOGRAMS_SCHEMA, builder)
    }

    /// The exemplars file.
    pub(super) fn exemplars() -> Result<Self, ParquetError> {
        let builder = sorted_by_metric(common()?)
            .set_column_encoding(ColumnPath::from("ts"), Encoding::DELTA_BINARY_PACKED)
            .set_column_dictionary_enabled(path(&["exemplar", "key_value", "key"]), true);
        Self::new(EXEMPLARS_SCHEMA, builder)
    }

    /// The metadata file.
    pub(super) fn metadata() -> Result<Self, ParquetError> {
        let mut builder = common()?;
        for name in ["type", "unit"] {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
        }
        Self::new(METADATA_SCHEMA, builder)
    }

    /// The timelines file.
    pub(super) fn timelines() -> Result<Self, ParquetError> {
        let column = path(&["ts", "list", "element"]);
        let builder = common()?
            .set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED)
            .set_column_compression(column.clone(), zstd(TIMELINES_ZSTD_LEVEL)?)
            .set_column_data_page_row_count_limit(column, 1);
        Self::new(TIMELINES_SCHEMA, builder)
    }

    fn new(schema: &str, builder: WriterPropertiesBuilder) -> Result<Self, ParquetError> {
        let schema = SchemaDescriptor::new(Arc::new(parse_message_type(schema)?));
        Ok(Self { schema: Arc::new(schema), properties: Arc::new(builder.build()) })
    }
}

fn common() -> Result<WriterPropertiesBuilder, ParquetError> {
    Ok(WriterProperties::builder()
        .set_created_by(concat!("foxfire version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(zstd(INDEX_ZSTD_LEVEL)?)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_write_batch_size(WRITE_BATCH_LEVELS)
        .set_data_page_row_count_limit(INDEX_PAGE_ROWS)
        .set_delta_binary_packed_encoder_options(DeltaBinaryPackedEncoderOptions::try_new(128, 4)?))
}

/// What files of rows that are sorted by metric and labels have in common.
fn sorted_by_metric(mut builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    builder = builder
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: samples::METRIC as i32,
            descending: false,
            nulls_first: false,
        }]))
        .set_column_dictionary_enabled(ColumnPath::from("metric"), true)
        .set_column_statistics_enabled(ColumnPath::from("metric"), EnabledStatistics::Page);
    for leaf in ["key", "value"] {
        builder = builder.set_column_dictionary_enabled(path(&["labels", "key_value", leaf]), true);
    }
    builder
}

/// A column of lists, in pages of few rows.
fn paged_values(
    builder: WriterPropertiesBuilder,
    name: &str,
    encoding: Encoding,
    zstd_level: i32,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    let column = path(&[name, "list", "element"]);
    Ok(builder
        .set_column_encoding(column.clone(), encoding)
        .set_column_compression(column.clone(), zstd(zstd_level)?)
        .set_column_data_page_row_count_limit(column.clone(), VALUE_PAGE_ROWS)
        .set_column_data_page_size_limit(column, VALUE_PAGE_BYTES))
}

fn zstd(level: i32) -> Result<Compression, ParquetError> {
    Ok(Compression::ZSTD(ZstdLevel::try_new(level)?))
}

fn path(parts: &[&str]) -> ColumnPath {
    ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect())
}
