//! Signals of the operating system.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::Reloader;

/// SIGHUP, SIGINT and SIGTERM, which no longer end the process once this is made.
pub(crate) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// In words, where the system refuses.
    pub(crate) fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Reloads at each SIGHUP; returns at SIGTERM or Ctrl-C. Signals that come during a reload count as one.
    pub(crate) async fn stop_asked(&mut self, reloader: &Reloader) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {}
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
            }
            tokio::select! {
                result = reloader.reload() => if let Err(error) = result {
                    tracing::error!(%error, "Error reloading config");
                },
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
            }
        }
    }

    /// Returns at the next SIGTERM or Ctrl-C.
    pub(crate) async fn again(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
