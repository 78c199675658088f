//! What an `http_config` asks of a request: shared by everything that talks HTTP to the outside (scrapes, Alertmanagers,
//! discovery endpoints).
//!
//! ```text
//! config::HttpClientConfig, secrets through platform::Files ──► the value of the `Authorization` header
//! ```
//!
//! Secrets are read when they are needed, so a changed file takes effect at once; no error text holds one.

use config::{HttpClientConfig, SecretSource};
use platform::Files;

/// Largest file that a secret is read from, bytes.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// The value of the header, or `None` where none is asked for.
///
/// # Errors
/// Where a secret cannot be read; the text does not have it.
pub async fn authorization(http: &HttpClientConfig, files: &dyn Files) -> Result<Option<String>, String> {
    if let Some(basic) = &http.basic_auth {
        let password = secret(&basic.password, files)
            .await
            .map_err(|reason| format!("unable to read basic auth password: {reason}"))?;
        return Ok(Some(format!("Basic {}", base64(format!("{}:{password}", basic.username).as_bytes()))));
    }
    if let Some(authorization) = &http.authorization {
        let credentials = secret(&authorization.credentials, files)
            .await
            .map_err(|reason| format!("unable to read authorization credentials: {reason}"))?;
        return Ok(Some(format!("{} {credentials}", authorization.scheme)));
    }
    Ok(None)
}

async fn secret(source: &SecretSource, files: &dyn Files) -> Result<String, String> {
    match source {
        SecretSource::Inline(secret) => Ok(secret.reveal().to_owned()),
        SecretSource::File(path) => {
            let bytes = files
                .read(path, SECRET_BYTES_MAX)
                .await
                .map_err(|error| format!("error reading file {path}: {error}"))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| format!("error reading file {path}: it is not UTF-8"))?;
            Ok(text.trim().to_owned())
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= chunk.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_padded() {
        for (text, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
