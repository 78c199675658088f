//! The columns of a block's files, and how each is written.

use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{
    DeltaBinaryPackedEncoderOptions, EnabledStatistics, WriterProperties, WriterPropertiesBuilder,
};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

use super::list_column::ListOptions;

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
    /// The first value column; `r` and `f` follow.
    pub(in crate::block) const M: usize = 11;
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
    /// The first value column; `counts` and `float_counts` follow.
    pub(in crate::block) const SUM: usize = 15;
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
/// Lists a page of the value columns.
const VALUE_PAGE_LISTS: usize = 32;
/// Bytes a page of the value columns, before compression; one row may exceed it.
const VALUE_PAGE_BYTES: usize = 32 << 10;
/// Index columns and timelines are small: their levels matter little.
const INDEX_ZSTD_LEVEL: i32 = 3;
const TIMELINES_ZSTD_LEVEL: i32 = 9;

/// The columns `m`, `r` and `f`, compressed at `zstd_level`.
pub(super) fn value_lists(zstd_level: i32) -> ListOptions {
    ListOptions { definition: 2, zstd_level, page_lists: VALUE_PAGE_LISTS, page_bytes: VALUE_PAGE_BYTES }
}

/// The column `ts`: a reader fetches just the timelines that it needs.
pub(super) fn timestamp_lists() -> ListOptions {
    ListOptions { definition: 1, zstd_level: TIMELINES_ZSTD_LEVEL, page_lists: 1, page_bytes: usize::MAX }
}

/// Schema and properties of one kind of file.
#[derive(Clone, Debug)]
pub(super) struct FileKind {
    pub(super) schema: Arc<SchemaDescriptor>,
    pub(super) properties: Arc<WriterProperties>,
    /// The columns that are read by page.
    pub(super) value_columns: Range<usize>,
}

impl FileKind {
    /// Samples files.
    pub(super) fn samples() -> Result<Self, ParquetError> {
        let mut builder = sorted_by_metric(common()?);
        for name in ["tl", "mul", "div", "ulp", "c"] {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
        }
        for name in ["start", "n"] {
            builder = builder.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
        }
        Self::new(SAMPLES_SCHEMA, builder, samples::M..samples::COUNT)
    }

    /// Histograms files.
    pub(super) fn histograms() -> Result<Self, ParquetError> {
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
        Self::new(HISTOGRAMS_SCHEMA, builder, histograms::SUM..histograms::COUNT)
    }

    /// The exemplars file.
    pub(super) fn exemplars() -> Result<Self, ParquetError> {
        let builder = sorted_by_metric(common()?)
            .set_column_encoding(ColumnPath::from("ts"), Encoding::DELTA_BINARY_PACKED)
            .set_column_dictionary_enabled(path(&["exemplar", "key_value", "key"]), true);
        Self::new(EXEMPLARS_SCHEMA, builder, exemplars::TS..exemplars::COUNT)
    }

    /// The metadata file.
    pub(super) fn metadata() -> Result<Self, ParquetError> {
        let mut builder = common()?;
        for name in ["type", "unit"] {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
        }
        Self::new(METADATA_SCHEMA, builder, metadata::METRIC_FAMILY..metadata::COUNT)
    }

    /// The timelines file.
    pub(super) fn timelines() -> Result<Self, ParquetError> {
        Self::new(TIMELINES_SCHEMA, common()?, timelines::TS..timelines::COUNT)
    }

    fn new(
        schema: &str,
        builder: WriterPropertiesBuilder,
        value_columns: Range<usize>,
    ) -> Result<Self, ParquetError> {
        let schema = SchemaDescriptor::new(Arc::new(parse_message_type(schema)?));
        Ok(Self { schema: Arc::new(schema), properties: Arc::new(builder.build()), value_columns })
    }
}

fn common() -> Result<WriterPropertiesBuilder, ParquetError> {
    Ok(WriterProperties::builder()
        .set_created_by(concat!("foxfire version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(zstd(INDEX_ZSTD_LEVEL)?)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_statistics_enabled(EnabledStatistics::None)
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

fn zstd(level: i32) -> Result<Compression, ParquetError> {
    Ok(Compression::ZSTD(ZstdLevel::try_new(level)?))
}

fn path(parts: &[&str]) -> ColumnPath {
    ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect())
}
