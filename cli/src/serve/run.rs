//! Start and stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use platform_local::LocalOptions;
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::flags::{LogFormat, LogLevel, ServeFlags};
use super::http::{Http, is_loopback};
use super::reload::{ConfigSource, Reloader};
use super::signals::Signals;
use super::wiring::Queues;
use super::{http, metering, pipeline, wiring};
use crate::complain;

/// What has begun gets this long to finish: less than the ten seconds after which supervisors kill.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// The store of rows gets this long to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Pushed requests that are decoded and written at once; others wait. Bounds the memory that they take.
const PUSHES_MAX: usize = 32;

const DEFAULT_CONFIG: &str = "prometheus.yml";

/// Runs `foxfire serve`.
pub(crate) fn main(flags: &ServeFlags) -> ExitCode {
    if let Err(error) = telemetry::init_logging(log_level(flags), log_format(flags)) {
        complain(format_args!("foxfire: {error}"));
        return ExitCode::FAILURE;
    }
    std::panic::set_hook(Box::new(|panicked| tracing::error!("{panicked}")));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(flags));
    // A query or compaction that still computes is given up: nothing that it could finish is promised to anybody.
    runtime.shutdown_timeout(Duration::ZERO);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: &ServeFlags) -> Result<(), String> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting foxfire");
    let mut signals = Signals::listen()?;
    // Bound before anything is written, and before the configuration is loaded: without one, foxfire scrapes the
    // address that it really got.
    let listener = TcpListener::bind(flags.listen_address)
        .await
        .map_err(|error| format!("listen tcp {}: {}", flags.listen_address, bind_words(&error)))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let local =
        platform_local::open(&LocalOptions::new(&flags.storage_path)).map_err(|error| error.to_string())?;
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let platform = metering::metered(&local.platform, &metrics);
    let source = config_source(flags, &address);
    let reloader = Arc::new(Reloader::new(platform.clone(), source, Arc::clone(&metrics)));
    reloader.reload().await.map_err(|error| format!("Error loading config: {error}"))?;

    let wired = Arc::new(wiring::wire(flags, &platform, &metrics, &reloader));
    let (stop_sender, stop) = watch::channel(false);
    let http = Http {
        api: wired.api.clone(),
        ingest: wired.ingest.clone(),
        metrics: Arc::clone(&metrics),
        reloader: Arc::clone(&reloader),
        queries: Arc::new(Semaphore::new(flags.query_concurrency as usize)),
        pushes: Arc::new(Semaphore::new(PUSHES_MAX)),
        lifecycle_enabled: flags.enable_lifecycle || is_loopback(&address),
    };
    let mut http_stop = stop.clone();
    let stopped = async move {
        let _ = http_stop.wait_for(|stop| *stop).await;
    };
    tracing::info!(%address, "Server is ready to receive web requests");
    metrics.ready(true);
    let queues = Queues { scrape: Arc::clone(&local.scrape_queue), rule: Arc::clone(&local.rule_queue) };
    let pipeline = pipeline::run(wired, queues, stop);
    let mut serving = Box::pin(async move { tokio::join!(http::serve(listener, http, stopped), pipeline).0 });
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        () = signals.stop_asked(&reloader) => None,
    };
    metrics.ready(false);
    let web = match ended {
        Some(ended) => ended,
        None => stop_within(STOP_TIMEOUT, &stop_sender, &mut signals, &mut serving).await,
    };
    drop(serving);
    if tokio::time::timeout(CLOSE_TIMEOUT, local.shutdown()).await.is_err() {
        tracing::warn!("The data directory is still in use; it is repaired at the next start");
    }
    tracing::info!("See you next time!");
    web.map_err(|error| error.to_string())
}

/// Tells everybody to stop, and waits until they have, or for `timeout`, or until the operator asks again.
async fn stop_within(
    timeout: Duration,
    stop: &watch::Sender<bool>,
    signals: &mut Signals,
    serving: &mut (impl Future<Output = std::io::Result<()>> + Unpin),
) -> std::io::Result<()> {
    tracing::warn!("Received an OS signal, exiting gracefully...");
    let _ = stop.send(true);
    tokio::select! {
        ended = tokio::time::timeout(timeout, serving) => ended.unwrap_or_else(|_| {
            tracing::warn!("Stopping with work unfinished: scrapes that hang are lost, open connections are closed");
            Ok(())
        }),
        () = signals.again() => {
            tracing::warn!("Received another OS signal, exiting at once");
            Ok(())
        }
    }
}

/// A failure to bind as Go words it.
fn bind_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error ").next().unwrap_or(&text);
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    format!("bind: {}{}", first.map(String::from).unwrap_or_default(), characters.as_str())
}

fn config_source(flags: &ServeFlags, address: &std::net::SocketAddr) -> ConfigSource {
    match &flags.config_file {
        Some(path) => ConfigSource::File(path.clone()),
        None if Path::new(DEFAULT_CONFIG).exists() => ConfigSource::File(DEFAULT_CONFIG.into()),
        None => {
            tracing::info!("No configuration given; scraping myself. See --config.file");
            let ip =
                if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
            let host = if ip.contains(':') { format!("[{ip}]") } else { ip };
            ConfigSource::ScrapeItself(format!("{host}:{}", address.port()))
        }
    }
}

fn log_level(flags: &ServeFlags) -> telemetry::Level {
    match flags.log_level {
        LogLevel::Debug => telemetry::Level::Debug,
        LogLevel::Info => telemetry::Level::Info,
        LogLevel::Warn => telemetry::Level::Warn,
        LogLevel::Error => telemetry::Level::Error,
    }
}

fn log_format(flags: &ServeFlags) -> telemetry::Format {
    match flags.log_format {
        LogFormat::Logfmt => telemetry::Format::Logfmt,
        LogFormat::Json => telemetry::Format::Json,
    }
}
