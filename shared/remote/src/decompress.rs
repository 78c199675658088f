//! Snappy's block format, bounded.

use crate::limits::Limits;
use crate::request::DecodeError;

/// The content of a snappy block. Its length is bounded before memory is taken.
///
/// # Errors
/// [`DecodeError`].
pub fn decompress(body: &[u8], limits: &Limits) -> Result<Vec<u8>, DecodeError> {
    let length = snap::raw::decompress_len(body).map_err(|_| DecodeError::Snappy)?;
    if length > limits.decoded_bytes_max {
        return Err(DecodeError::DecodedSize(limits.decoded_bytes_max));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(|_| DecodeError::Snappy)
}
