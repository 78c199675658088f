//! Something to scrape.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::now_ms;

/// A target whose one counter says how often it was scraped, for as long as the process lives.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    began: Arc<Mutex<Vec<i64>>>,
    answered: Arc<AtomicU64>,
}

impl Target {
    /// Starts one that takes `delay` to answer.
    #[must_use]
    pub fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Self {
            address: listener.local_addr().unwrap().to_string(),
            began: Arc::default(),
            answered: Arc::default(),
        };
        let serving = target.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let target = serving.clone();
                std::thread::spawn(move || target.answer(stream, delay));
            }
        });
        target
    }

    /// When scrapes began, ms since the epoch.
    #[must_use]
    pub fn scrapes(&self) -> Vec<i64> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, mut stream: TcpStream, delay: Duration) {
        let _ = stream.read(&mut [0; 4096]);
        self.began.lock().unwrap_or_else(PoisonError::into_inner).push(now_ms());
        std::thread::sleep(delay);
        let count = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
        let body = format!("# TYPE scrapes_total counter\nscrapes_total {count}\n");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
        let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    }
}
