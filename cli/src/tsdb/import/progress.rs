//! How far an import is, for whoever watches: a line that changes on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};

use platform::Clock;

use crate::complain;
use crate::tsdb::units::rough_size;

/// How often the line on a terminal changes, ms.
const TERMINAL_MS: i64 = 500;
/// How often a line is printed elsewhere, ms: only long imports show any.
const LOG_MS: i64 = 10_000;

/// Shows progress.
pub(super) struct Progress<'a> {
    clock: &'a dyn Clock,
    quiet: bool,
    terminal: bool,
    len: Option<u64>,
    started: i64,
    shown: i64,
    is_line_open: bool,
}

impl<'a> Progress<'a> {
    /// Of an input of `len` bytes, where that is known.
    pub(super) fn new(clock: &'a dyn Clock, quiet: bool, len: Option<u64>) -> Self {
        let now = clock.now_ms();
        let terminal = std::io::stderr().is_terminal();
        Self { clock, quiet, terminal, len, started: now, shown: now, is_line_open: false }
    }

    /// Shows it, if it is time.
    pub(super) fn at(&mut self, bytes: u64, samples: u64) {
        let now = self.clock.now_ms();
        let every = if self.terminal { TERMINAL_MS } else { LOG_MS };
        if self.quiet || now - self.shown < every {
            return;
        }
        self.shown = now;
        let line = describe(bytes, self.len, samples, now - self.started);
        if self.terminal {
            let mut stderr = std::io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K{line}");
            let _ = stderr.flush();
            self.is_line_open = true;
        } else {
            complain(line);
        }
    }

    /// Ends the line.
    pub(super) fn finish(&mut self) {
        if std::mem::take(&mut self.is_line_open) {
            complain("");
        }
    }
}

fn describe(bytes: u64, len: Option<u64>, samples: u64, elapsed_ms: i64) -> String {
    let speed = bytes.saturating_mul(1000) / u64::try_from(elapsed_ms).unwrap_or(1).max(1);
    let of = match len {
        Some(len) if len > 0 => {
            format!(" of {} ({}%)", rough_size(len), bytes.min(len).saturating_mul(100) / len)
        }
        _ => String::new(),
    };
    format!("read {}{of}, {samples} samples, {}/s", rough_size(bytes), rough_size(speed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_size_share_and_speed() {
        assert_eq!(
            describe(3 << 20, Some(4 << 20), 7, 1000),
            "read 3.0 MiB of 4.0 MiB (75%), 7 samples, 3.0 MiB/s"
        );
        assert_eq!(describe(10, None, 0, 0), "read 10 B, 0 samples, 9.8 KiB/s");
    }
}
