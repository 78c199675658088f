//! Start and stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use platform_local::LocalOptions;
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use super::flags::{LogFormat, LogLevel, ServeFlags};
use super::http::{Http, is_loopback};
use super::reload::{ConfigSource, Reloader};
use super::{http, pipeline, wiring};
use crate::complain;

const DEFAULT_CONFIG: &str = "prometheus.yml";

/// Runs `foxfire serve`.
pub(crate) fn main(flags: &ServeFlags) -> ExitCode {
    if let Err(error) = telemetry::init_logging(log_level(flags), log_format(flags)) {
        complain(format_args!("foxfire: {error}"));
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: &ServeFlags) -> Result<(), String> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting foxfire");
    let local =
        platform_local::open(&LocalOptions::new(&flags.storage_path)).map_err(|error| error.to_string())?;
    let platform = local.platform.clone();
    // Bound before the configuration is loaded: without one, foxfire scrapes the address that it really got.
    let listener = TcpListener::bind(flags.listen_address)
        .await
        .map_err(|error| format!("listen tcp {}: {error}", flags.listen_address))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;

    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let source = config_source(flags, &address);
    let reloader = Arc::new(Reloader::new(platform.clone(), source, Arc::clone(&metrics)));
    reloader.reload().await.map_err(|error| format!("Error loading config: {error}"))?;

    let wired = Arc::new(wiring::wire(flags, &platform, &metrics, &reloader));
    let (stop_sender, stop) = watch::channel(false);
    let http = Http {
        api: wired.api.clone(),
        metrics: Arc::clone(&metrics),
        reloader: Arc::clone(&reloader),
        queries: Arc::new(Semaphore::new(flags.query_concurrency as usize)),
        lifecycle_enabled: flags.enable_lifecycle || is_loopback(&address),
    };
    let mut http_stop = stop.clone();
    let stopped = async move {
        let _ = http_stop.wait_for(|stop| *stop).await;
    };
    tracing::info!(%address, "Server is ready to receive web requests");
    let pipeline = pipeline::run(wired, stop);
    let web = http::serve(listener, http, stopped);
    let signals = handle_signals(&reloader, stop_sender);
    let (web, (), signals) = tokio::join!(web, pipeline, signals);
    local.shutdown().await;
    tracing::info!("See you next time!");
    web.map_err(|error| error.to_string()).and(signals)
}

/// Reloads at SIGHUP; at SIGTERM and Ctrl-C tells everybody to stop and returns.
async fn handle_signals(reloader: &Reloader, stop: watch::Sender<bool>) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut hangup, mut interrupt, mut terminate) =
        (listen(SignalKind::hangup())?, listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    loop {
        tokio::select! {
            _ = hangup.recv() => if let Err(error) = reloader.reload().await {
                tracing::error!(%error, "Error reloading config");
            },
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    tracing::warn!("Received an OS signal, exiting gracefully...");
    let _ = stop.send(true);
    Ok(())
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
