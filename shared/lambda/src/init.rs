//! From the start of the process to the last invocation.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use platform::Clock;
use platform_aws::{AwsDeadLetters, AwsOptions};
use platform_system::{AddressRules, SystemClock};
use serde_json::{Value, json};
use telemetry::{Format, UsageMeter};

use crate::budget::Budget;
use crate::dead_letters::DeadLetterQueue;
use crate::event::trigger;
use crate::function::Function;
use crate::parts::Parts;
use crate::report::{self, Report};
use crate::settings::Settings;

/// Memory with which a function has one processor, MB; more memory, more of them.
const PROCESSOR_MB: u64 = 1_769;
/// More than six processors no function has.
const PROCESSORS_MAX: u64 = 6;

/// Runs a function until Lambda ends it. `wire` makes it of its parts, and must not wait for anything: what is made here
/// is made before the first event.
pub fn start(name: &'static str, wire: impl FnOnce(&Parts) -> Function) -> ExitCode {
    match run(name, wire) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            report_init_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(name: &'static str, wire: impl FnOnce(&Parts) -> Function) -> Result<(), String> {
    let clock = SystemClock::new();
    // Zero means that the first invocation is over.
    let began_ns = clock.monotonic_ns().max(1);
    // Logging comes first, at the level that is asked for if that can be read, so that what is wrong can be told.
    let settings = Settings::from_lookup(&variable);
    let level = settings.as_ref().map_or_else(|_| telemetry::Level::Info, |settings| settings.log_level);
    telemetry::init_logging(level, Format::Json).map_err(|error| error.to_string())?;
    std::panic::set_hook(Box::new(|panicked| tracing::error!("{panicked}")));
    let settings = settings.map_err(|error| error.to_string())?;
    let runtime = runtime(settings.memory_mb).map_err(|error| error.to_string())?;
    runtime.block_on(async {
        // One program is two functions, of which only this one may change anything.
        let name = if settings.enable_admin_api { "admin" } else { name };
        let memory_mb = u32::try_from(settings.memory_mb).unwrap_or(u32::MAX);
        let architecture = UsageMeter::own_architecture();
        let usage = Arc::new(UsageMeter::new(name, memory_mb, architecture, clock.now_ms()));
        let options = aws_options(&settings, &usage);
        let platform = platform_aws::open(&options).await.map_err(|error| error.to_string())?;
        let dead_letters =
            settings.dead_letter_queue_url.clone().map(|url| AwsDeadLetters::new(options, url));
        let mut parts = Parts::new(name, settings, platform, label_variable);
        parts.dead_letters = dead_letters.map(|queue| Arc::new(queue) as Arc<dyn DeadLetterQueue>);
        let function = wire(&parts);
        let serving =
            Serving { function, parts, usage, began_ns: AtomicU64::new(began_ns), clock: Arc::new(clock) };
        let serving = &serving;
        let service = service_fn(move |event| serving.invoke(event));
        lambda_runtime::run(service).await.map_err(|error| error.to_string())
    })
}

/// A function that takes events.
struct Serving {
    function: Function,
    parts: Parts,
    usage: Arc<UsageMeter>,
    /// When the process began, until its first invocation is over: that includes the start.
    began_ns: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl Serving {
    async fn invoke(&self, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
        let (clock, context) = (&*self.clock, event.context);
        let (began_ns, before) = (clock.monotonic_ns(), self.parts.metrics.totals());
        let trigger = trigger(&event.payload);
        let killed_at = i64::try_from(context.deadline).unwrap_or(i64::MAX);
        let answered = self.function.answer(event.payload, Budget::until(killed_at, clock)).await;
        if let Err(error) = &answered {
            tracing::error!(request_id = context.request_id, "{error}");
        }
        let ended_ns = clock.monotonic_ns();
        let started_ns = self.began_ns.swap(0, Ordering::Relaxed);
        let cold = started_ns > 0;
        let report = Report {
            namespace: self.parts.settings.metrics_namespace.as_deref(),
            function: self.parts.name,
            request_id: &context.request_id,
            at: clock.now_ms(),
            duration_ms: seconds(began_ns, ended_ns) * 1e3,
            cold,
            errors: answered.as_ref().map_or(1, |answered| answered.errors),
            before,
            after: self.parts.metrics.totals(),
        };
        let line = report.line();
        report::write(&line);
        self.usage.logged(line.len() as u64);
        self.usage.invoked(trigger, seconds(if cold { started_ns } else { began_ns }, ended_ns));
        if let Some(line) = self.usage.record(clock.now_ms()) {
            report::write(&line);
        }
        answered.map(|answered| answered.answer).map_err(|error| Diagnostic {
            error_type: "foxfire.Failed".to_owned(),
            error_message: error.to_string(),
        })
    }
}

fn seconds(from_ns: u64, until_ns: u64) -> f64 {
    until_ns.saturating_sub(from_ns) as f64 / 1e9
}

/// Processors are few: work runs on as many threads as there are, and on the first alone where that is all.
fn runtime(memory_mb: u64) -> std::io::Result<tokio::runtime::Runtime> {
    let processors = memory_mb.div_ceil(PROCESSOR_MB).clamp(1, PROCESSORS_MAX);
    let mut builder = match usize::try_from(processors) {
        Ok(threads) if threads > 1 => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

fn aws_options(settings: &Settings, usage: &Arc<UsageMeter>) -> AwsOptions {
    AwsOptions {
        bucket: settings.bucket.clone(),
        table: settings.table.clone(),
        scrape_queue_url: settings.scrape_queue_url.clone(),
        rule_queue_url: settings.rule_queue_url.clone(),
        alert_topic_arn: settings.alert_topic_arn.clone(),
        addresses: AddressRules {
            loopback: settings.allow_loopback,
            unspecified: settings.allow_loopback,
            link_local: false,
        },
        meter: Arc::<UsageMeter>::clone(usage),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the main function's reading of the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The variables that a configuration may put into labels. Lambda gives credentials in others; whoever may write a
/// configuration need not be allowed to read these.
fn label_variable(name: &str) -> Option<String> {
    const HARMLESS: [&str; 4] =
        ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"];
    if name.starts_with("AWS_") && !HARMLESS.contains(&name) { None } else { variable(name) }
}

/// Tells Lambda why the function cannot start, so that whoever invokes it is told, not only whoever reads its log.
fn report_init_error(error: &str) {
    let Some(address) = variable("AWS_LAMBDA_RUNTIME_API") else { return };
    let body = json!({ "errorType": "foxfire.InitError", "errorMessage": error }).to_string();
    let request = format!(
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Lambda-Runtime-Function-Error-Type: foxfire.InitError\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    if let Ok(mut stream) = TcpStream::connect(&address) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        // The answer is waited for, or the process might end before the request is read.
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut [0; 64]));
    }
}
