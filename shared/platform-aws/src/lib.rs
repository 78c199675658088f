//! The seam on AWS.
//!
//! ```text
//!  s3://<bucket>/data/…    AwsObjects   PutObject with If-None-Match; reads by ETag; lists strongly consistent
//!  s3://<bucket>/files/…   AwsFiles     files that a configuration refers to, by path
//!  DynamoDB <table>        AwsRows      pk, sk, v, n (version), exp (TTL); every write conditional
//!  SQS                     AwsQueue     text as it is, other bytes in base 64
//!  SNS                     AwsTopic     notices with what subscriptions filter by
//!  the network             platform_system::SystemFetcher
//! ```
//!
//! ```text
//!  port ─► Caller: deadline, attempts, jitter ─► SDK client (its own retries off) ─► one request
//!               ▲                                       │
//!               └── Failure: refused, unknown, final ◄──┘──► meter
//! ```
//!
//! The SDK's retries are off because they forget: an attempt that timed out may have taken effect, and the refusal of the
//! next one must then not be told as if nothing had happened. `caller` remembers.
//!
//! What S3 does not give: an ETag is the hash of a body, so an object that is deleted and created again with the very
//! same bytes has its old version again; and a key may be the beginning of another one's segments. No caller of the seam
//! depends on either.
//!
//! What the roles need: `s3:ListBucket` too where objects are only read, for without it S3 answers 403 for a key that is
//! not there.

mod caller;
mod clients;
mod dead_letters;
mod failure;
mod files;
mod message;
mod meter;
mod objects;
mod queue;
mod rows;
mod store;
mod topic;

use std::sync::Arc;

use platform::{Meter, Platform, Queue, Topic};
use platform_system::{FetcherError, SystemFetcher};

pub use clients::Endpoints;
pub use dead_letters::AwsDeadLetters;
pub use files::{AwsFiles, file_key};
pub use message::{ENCODING_ATTRIBUTE, EncodedMessage, decode_message, encode_message};
pub use objects::AwsObjects;
pub use platform_system::AddressRules;
pub use queue::AwsQueue;
pub use rows::AwsRows;
pub use topic::AwsTopic;

use caller::Caller;
use clients::Clients;
use queue::NoQueue;
use store::Store;

/// What is where. Credentials, region and endpoints come from the environment, as in every AWS SDK.
#[derive(Clone)]
pub struct AwsOptions {
    /// The bucket of objects and files.
    pub bucket: String,
    /// The table of rows.
    pub table: String,
    /// The scrapers' queue. Without one its port denies every call.
    pub scrape_queue_url: Option<String>,
    /// The ruler's queue. Without one its port denies every call.
    pub rule_queue_url: Option<String>,
    /// Where alerts are published.
    pub alert_topic_arn: Option<String>,
    /// Which special addresses scrapes may reach: on Lambda none.
    pub addresses: AddressRules,
    /// Told of every request.
    pub meter: Arc<dyn Meter>,
}

impl std::fmt::Debug for AwsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsOptions")
            .field("bucket", &self.bucket)
            .field("table", &self.table)
            .field("scrape_queue_url", &self.scrape_queue_url)
            .field("rule_queue_url", &self.rule_queue_url)
            .field("alert_topic_arn", &self.alert_topic_arn)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// Why AWS cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AwsError {
    /// The environment names no region.
    #[error("no AWS region is configured: set AWS_REGION")]
    NoRegion,
    /// The HTTP client for scrapes cannot be set up.
    #[error(transparent)]
    Fetcher(#[from] FetcherError),
}

/// Builds the ports. No request is made: credentials and connections are got when first needed.
///
/// # Errors
/// [`AwsError`].
pub async fn open(options: &AwsOptions) -> Result<Platform, AwsError> {
    Ok(build(Clients::load(&options.meter).await?, options)?.platform)
}

/// The files alone, for who uploads them.
///
/// # Errors
/// [`AwsError`].
pub async fn open_files(options: &AwsOptions) -> Result<AwsFiles, AwsError> {
    Ok(build(Clients::load(&options.meter).await?, options)?.files)
}

/// As [`open`] and [`open_files`], of these endpoints and not the environment's.
///
/// # Errors
/// [`AwsError`].
pub async fn open_at(options: &AwsOptions, endpoints: &Endpoints) -> Result<AwsPlatform, AwsError> {
    build(Clients::load_at(endpoints, &options.meter).await, options)
}

/// The ports, and what only this adapter can do.
#[derive(Debug)]
pub struct AwsPlatform {
    /// The ports.
    pub platform: Platform,
    /// The files, which can be put here.
    pub files: AwsFiles,
}

fn build(clients: Clients, options: &AwsOptions) -> Result<AwsPlatform, AwsError> {
    let caller = Arc::new(Caller::of_the_system(&options.meter));
    let Clients { s3, dynamodb, sqs, sns } = clients;
    let store = Store::new(s3, options.bucket.clone(), Arc::clone(&caller));
    let queue = |name: &'static str, url: &Option<String>| match url {
        Some(url) => Arc::new(AwsQueue::new(sqs.clone(), url.clone(), Arc::clone(&caller))) as Arc<dyn Queue>,
        None => Arc::new(NoQueue::new(name)),
    };
    let topic = |arn: &String| {
        Arc::new(AwsTopic::new(sns.clone(), arn.clone(), Arc::clone(&caller))) as Arc<dyn Topic>
    };
    let files = AwsFiles::new(store.clone());
    let platform = Platform {
        objects: Arc::new(AwsObjects::new(store)),
        rows: Arc::new(AwsRows::new(dynamodb, options.table.clone(), Arc::clone(&caller))),
        scrape_queue: queue("scrape", &options.scrape_queue_url),
        rule_queue: queue("rule", &options.rule_queue_url),
        alert_topic: options.alert_topic_arn.as_ref().map(topic),
        fetcher: Arc::new(SystemFetcher::new(options.addresses)?),
        files: Arc::new(files.clone()),
        clock: Arc::clone(&caller.clock),
        entropy: Arc::clone(&caller.entropy),
    };
    Ok(AwsPlatform { platform, files })
}
