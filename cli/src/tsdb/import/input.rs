//! A file, or standard input, piece by piece.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tsdb::open::words;

/// Where OpenMetrics text comes from.
pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    /// Bytes read of the file itself, packed or not.
    read: Arc<AtomicU64>,
    len: Option<u64>,
}

impl Input {
    /// Opens a file; `-` is standard input. What ends in `.gz` or `.zst` is unpacked.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: &io::Error| format!("open {}: {}", path.display(), words(error));
        let read = Arc::default();
        if is_stdin(path) {
            let reader = Counted { inner: io::stdin(), read: Arc::clone(&read) };
            return Ok(Self { reader: Box::new(reader), read, len: None });
        }
        let file = File::open(path).map_err(|error| failed(&error))?;
        let metadata = file.metadata().map_err(|error| failed(&error))?;
        if metadata.is_dir() {
            return Err(format!("open {}: is a directory", path.display()));
        }
        let len = metadata.is_file().then_some(metadata.len());
        let file = Counted { inner: file, read: Arc::clone(&read) };
        let reader: Box<dyn Read + Send> = match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
            Some("zst") => Box::new(zstd::Decoder::new(file).map_err(|error| failed(&error))?),
            _ => Box::new(file),
        };
        Ok(Self { reader, read, len })
    }

    /// Length of the file in bytes, where it is one.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// Bytes of it that have been read.
    pub(super) fn position(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Appends up to `bytes` bytes; whether there was nothing more.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, bytes: u64) -> Result<bool, String> {
        let read = (&mut self.reader).take(bytes).read_to_end(buffer);
        read.map(|count| count == 0).map_err(|error| format!("read: {}", words(&error)))
    }
}

/// Whether a path stands for standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
