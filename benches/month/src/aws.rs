//! The same on AWS, or on LocalStack and a DynamoDB server, in real time. Where they are is in the environment, as functions have
//! it: `FOXFIRE_BUCKET`, `FOXFIRE_TABLE`, `FOXFIRE_SCRAPE_QUEUE_URL`, `FOXFIRE_RULE_QUEUE_URL`, `AWS_…`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use platform::{Meter, Platform};
use platform_aws::{AddressRules, AwsOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};

use crate::fleet::Fleet;
use crate::lambda::Lambda;
use crate::options::Options;
use crate::place::Place;
use crate::run::{begin, configuration, pack, report, settings};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Nothing is counted before: the first window is planned a minute ahead.
const WARM_UP: Duration = Duration::from_secs(150);

/// Where everything is.
pub(crate) struct Aws {
    options: AwsOptions,
    runtime: Handle,
}

impl Aws {
    /// New clients, whose requests are told to `meter`.
    pub(crate) async fn platform(&self, meter: Arc<dyn Meter>) -> Platform {
        let options = AwsOptions { meter, ..self.options.clone() };
        platform_aws::open(&options).await.expect("the environment was found right at the start")
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }
}

/// Runs for so many minutes and says what a month costs.
pub(crate) fn run(options: &Options, minutes: u32) -> Outcome<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(run_in(options, minutes, &runtime));
    runtime.shutdown_background();
    result
}

async fn run_in(options: &Options, minutes: u32, runtime: &Runtime) -> Outcome<String> {
    let aws_options = AwsOptions {
        bucket: variable("FOXFIRE_BUCKET")?,
        table: variable("FOXFIRE_TABLE")?,
        scrape_queue_url: Some(variable("FOXFIRE_SCRAPE_QUEUE_URL")?),
        rule_queue_url: Some(variable("FOXFIRE_RULE_QUEUE_URL")?),
        alert_topic_arn: None,
        addresses: AddressRules { loopback: true, ..AddressRules::default() },
        meter: Arc::new(platform::NoMeter),
    };
    let platform = platform_aws::open(&aws_options).await?;
    let seconds = u64::from(minutes) * 60;
    let steps = usize::try_from((seconds + WARM_UP.as_secs()) / 15)? + 20;
    let fleet = Fleet::new(options.series, steps, platform.clock.now_ms());
    let mut addresses = Vec::new();
    for number in 0..fleet.targets() {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push(listener.local_addr()?.to_string());
        runtime.spawn(serve(Arc::clone(&fleet), number, listener));
    }
    control::publish_config(&platform, &configuration(&addresses, options)?).await?;
    let place = Place::Aws(Aws { options: aws_options, runtime: runtime.handle().clone() });
    let lambda = Lambda::new(place, Arc::clone(&fleet), settings(options), pack(options));
    begin(&lambda, options);
    platform.clock.sleep(WARM_UP).await;
    let _ = lambda.take_usage();
    let before = platform.clock.monotonic_ns();
    platform.clock.sleep(Duration::from_secs(seconds)).await;
    let (usage, cold_starts) = lambda.take_usage();
    let took = platform.clock.monotonic_ns().saturating_sub(before) as f64 / 1e9;
    Ok(report(options, fleet.series(), took, &usage, cold_starts))
}

fn variable(name: &str) -> Outcome<String> {
    #[expect(clippy::disallowed_methods, reason = "a program's own environment")]
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

/// One target.
async fn serve(fleet: Arc<Fleet>, number: usize, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        Handle::current().spawn(answer(Arc::clone(&fleet), number, stream));
    }
}

/// Answers the requests of one connection, none of which has a body.
async fn answer(fleet: Arc<Fleet>, number: usize, mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let Ok(read @ 1..) = stream.read(&mut part).await else { return };
        head.extend_from_slice(part.get(..read).unwrap_or_default());
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        let body = fleet.text(number, platform_system::now_ms());
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
