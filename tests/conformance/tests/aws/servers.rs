//! Servers, and what the adapters expect to find in them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::Builder;
use platform::{Billed, Meter};
use platform_aws::{AddressRules, AwsOptions, AwsPlatform, Endpoints, open_at};

const REGION: &str = "us-east-1";

/// How often a queue delivers a message before it gives it up.
pub(crate) const RECEIVES_MAX: u32 = 3;

/// LocalStack's endpoint; it is brought up once, and ends with this process.
pub(crate) fn localstack() -> String {
    static SHARED: OnceLock<localstack::LocalStack> = OnceLock::new();
    let start = || {
        let name = "conformance".to_owned();
        localstack::LocalStack::start(&localstack::Options { name, ..Default::default() })
    };
    SHARED.get_or_init(start).endpoint.clone()
}

/// All services at LocalStack.
pub(crate) async fn all() -> Endpoints {
    let endpoint = tokio::task::spawn_blocking(localstack).await.unwrap();
    Endpoints::all_at(&endpoint, REGION)
}

/// A DynamoDB alone.
pub(crate) fn dynamodb_at(endpoint: &str) -> Endpoints {
    let nowhere = "http://127.0.0.1:1";
    Endpoints { dynamodb: endpoint.to_owned(), ..Endpoints::all_at(nowhere, REGION) }
}

/// A meter that keeps all it is told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<Billed>>);

impl Meter for Told {
    fn count(&self, billed: Billed) {
        self.0.lock().unwrap().push(billed);
    }
}

impl Told {
    /// What it was told since it was last asked.
    pub(crate) fn take(&self) -> Vec<Billed> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// What a test needs of its own, in servers that all share.
pub(crate) struct Resources {
    pub(crate) options: AwsOptions,
    pub(crate) meter: Arc<Told>,
}

impl Resources {
    /// Names that nobody else has; nothing is there yet.
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{number}", std::process::id());
        let meter = Arc::new(Told::default());
        let options = AwsOptions {
            bucket: format!("{name}-bucket"),
            table: format!("{name}-table"),
            scrape_queue_url: None,
            rule_queue_url: None,
            alert_topic_arn: None,
            addresses: AddressRules::default(),
            meter: Arc::clone(&meter) as _,
        };
        Self { options, meter }
    }

    /// Opens them at `endpoints`.
    pub(crate) async fn open(&self, endpoints: &Endpoints) -> AwsPlatform {
        open_at(&self.options, endpoints).await.unwrap()
    }

    pub(crate) async fn with_bucket(self, endpoints: &Endpoints) -> Self {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(credentials())
            .http_client(Builder::new().build_http())
            .endpoint_url(&endpoints.s3)
            .force_path_style(true)
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        client.create_bucket().bucket(&self.options.bucket).send().await.unwrap();
        self
    }

    pub(crate) async fn with_table(self, endpoints: &Endpoints) -> Self {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(credentials())
            .http_client(Builder::new().build_http())
            .endpoint_url(&endpoints.dynamodb)
            .build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        let mut table =
            client.create_table().table_name(&self.options.table).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let string = ScalarAttributeType::S;
            let definition = AttributeDefinition::builder().attribute_name(name).attribute_type(string);
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
            table = table.attribute_definitions(definition.build().unwrap()).key_schema(key.build().unwrap());
        }
        table.send().await.unwrap();
        let expiry = TimeToLiveSpecification::builder().attribute_name("exp").enabled(true).build().unwrap();
        client
            .update_time_to_live()
            .table_name(&self.options.table)
            .time_to_live_specification(expiry)
            .send()
            .await
            .unwrap();
        self
    }

    /// With a queue, and one for what it gives up: their URLs are the scrape and the rule queue's.
    pub(crate) async fn with_queues(mut self, endpoints: &Endpoints) -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(credentials())
            .http_client(Builder::new().build_http())
            .endpoint_url(&endpoints.sqs)
            .build();
        let client = aws_sdk_sqs::Client::from_conf(config);
        let name = self.options.table.clone();
        let dead = client.create_queue().queue_name(format!("{name}-dead")).send().await.unwrap();
        let dead = dead.queue_url().unwrap().to_owned();
        let arn = QueueAttributeName::QueueArn;
        let attributes = client.get_queue_attributes().queue_url(&dead).attribute_names(arn.clone());
        let attributes = attributes.send().await.unwrap().attributes.unwrap();
        let redrive =
            format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"{RECEIVES_MAX}"}}"#, attributes[&arn]);
        let queue = client
            .create_queue()
            .queue_name(format!("{name}-live"))
            .attributes(QueueAttributeName::RedrivePolicy, redrive);
        let queue = queue.send().await.unwrap();
        self.options.scrape_queue_url = queue.queue_url().map(str::to_owned);
        self.options.rule_queue_url = Some(dead);
        self
    }

    /// With a topic that the rule queue (see [`Self::with_queues`]) subscribes to, by a filter.
    pub(crate) async fn with_topic(mut self, endpoints: &Endpoints, filter: &str) -> Self {
        let config = aws_sdk_sns::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(credentials())
            .http_client(Builder::new().build_http())
            .endpoint_url(&endpoints.sns)
            .build();
        let client = aws_sdk_sns::Client::from_conf(config);
        let topic = client.create_topic().name(&self.options.table).send().await.unwrap();
        let arn = topic.topic_arn().unwrap().to_owned();
        let queue = self.options.rule_queue_url.as_ref().unwrap().rsplit('/').next().unwrap().to_owned();
        client
            .subscribe()
            .topic_arn(&arn)
            .protocol("sqs")
            .endpoint(format!("arn:aws:sqs:{REGION}:000000000000:{queue}"))
            .attributes("FilterPolicy", filter)
            .send()
            .await
            .unwrap();
        self.options.alert_topic_arn = Some(arn);
        self
    }
}

fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "test")
}
