//! What takes how much room: the bytes of each column of a block's files, from their footers.

use std::collections::BTreeMap;

use parquet::file::metadata::ParquetMetaDataReader;
use platform::ByteRange;
use wire::BlockMeta;

use crate::block::object_key;
use crate::error::TsdbError;
use crate::store::Store;

/// Length of the footer's length and the magic after it.
const TRAILER_LEN: u64 = 8;
/// A longer footer is refused.
const FOOTER_LEN_MAX: u64 = 64 << 20;

/// One column of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnBytes {
    /// The kind of file: `samples`, `timelines`, …
    pub file: String,
    /// The column's path in the schema; `footer and indexes` for the rest of the files.
    pub column: String,
    /// Stored bytes, dictionary and page headers included.
    pub bytes: u64,
}

impl Store {
    /// The columns of a block, the largest first.
    ///
    /// # Errors
    /// [`TsdbError`].
    pub async fn column_bytes(&self, meta: &BlockMeta) -> Result<Vec<ColumnBytes>, TsdbError> {
        let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
        for file in &meta.files {
            let key = object_key(&meta.id, &file.name);
            let corrupt = |reason: String| TsdbError::Corrupt { what: key.clone(), reason };
            let kind = file.name.split(['-', '.']).next().unwrap_or_default();
            let trailer = self.read_last(&key, TRAILER_LEN).await?;
            let length = trailer.first_chunk::<4>().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
            if length > FOOTER_LEN_MAX || length + TRAILER_LEN > file.len {
                return Err(corrupt("the footer is too long".to_owned()));
            }
            let tail = self.read_last(&key, length + TRAILER_LEN).await?;
            let footer = tail.get(..tail.len().saturating_sub(8)).unwrap_or_default();
            let metadata =
                ParquetMetaDataReader::decode_metadata(footer).map_err(|e| corrupt(e.to_string()))?;
            let mut in_columns = 0u64;
            for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
                let bytes = u64::try_from(chunk.compressed_size()).unwrap_or(0);
                in_columns = in_columns.saturating_add(bytes);
                *found.entry((kind.to_owned(), chunk.column_path().string())).or_default() += bytes;
            }
            let rest = found.entry((kind.to_owned(), "footer and indexes".to_owned())).or_default();
            *rest += file.len.saturating_sub(in_columns);
        }
        let columns = found.into_iter().map(|((file, column), bytes)| ColumnBytes { file, column, bytes });
        let mut columns: Vec<ColumnBytes> = columns.collect();
        columns.sort_by_key(|column| std::cmp::Reverse(column.bytes));
        Ok(columns)
    }

    async fn read_last(&self, key: &str, len: u64) -> Result<bytes::Bytes, TsdbError> {
        Ok(self.ports.retrying_objects().read(key, None, ByteRange::Last(len)).await?.body)
    }
}
