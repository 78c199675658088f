//! The SDK's clients.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use aws_smithy_http_client::{Builder, tls};
use platform::Meter;

use crate::AwsError;
use crate::meter::Metered;

/// From the first packet to an open connection, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How long an unused connection is kept. AWS closes its side after 20 s and more; a connection that died while the
/// sandbox was frozen costs an attempt.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// Unused connections kept for one service.
const IDLE_PER_HOST_MAX: usize = 64;

/// A client of each service. All share one pool of connections.
pub(crate) struct Clients {
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) sns: aws_sdk_sns::Client,
}

/// Where the services are and who asks, in place of what the environment says: tests against servers of their own.
#[derive(Clone)]
pub struct Endpoints {
    /// The region.
    pub region: String,
    /// The access key's identifier; servers that are not AWS take any.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: String,
    /// `http://host:port` of S3.
    pub s3: String,
    /// `http://host:port` of DynamoDB.
    pub dynamodb: String,
    /// `http://host:port` of SQS.
    pub sqs: String,
    /// `http://host:port` of SNS.
    pub sns: String,
}

impl Endpoints {
    /// All services at one endpoint, with the credentials `test`, as LocalStack has them.
    #[must_use]
    pub fn all_at(endpoint: &str, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            s3: endpoint.to_owned(),
            dynamodb: endpoint.to_owned(),
            sqs: endpoint.to_owned(),
            sns: endpoint.to_owned(),
        }
    }
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoints").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Clients {
    /// Clients by the environment. Region and credentials are looked for in environment variables first, so on Lambda
    /// neither a file nor a metadata service is asked.
    pub(crate) async fn load(meter: &Arc<dyn Meter>) -> Result<Self, AwsError> {
        let config = loader().load().await;
        if config.region().is_none() {
            return Err(AwsError::NoRegion);
        }
        Ok(Self::of(&config, is_s3_elsewhere(), None, meter))
    }

    /// Clients of these endpoints.
    pub(crate) async fn load_at(endpoints: &Endpoints, meter: &Arc<dyn Meter>) -> Self {
        let Endpoints { access_key_id, secret_access_key, .. } = endpoints;
        let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "Endpoints");
        let region = Region::new(endpoints.region.clone());
        let config = loader().region(region).credentials_provider(credentials).load().await;
        Self::of(&config, true, Some(endpoints), meter)
    }

    fn of(config: &SdkConfig, path_style: bool, at: Option<&Endpoints>, meter: &Arc<dyn Meter>) -> Self {
        let mut s3 = aws_sdk_s3::config::Builder::from(config)
            .force_path_style(path_style)
            .interceptor(Metered::new("s3", meter));
        let mut dynamodb =
            aws_sdk_dynamodb::config::Builder::from(config).interceptor(Metered::new("dynamodb", meter));
        let mut sqs = aws_sdk_sqs::config::Builder::from(config).interceptor(Metered::new("sqs", meter));
        let mut sns = aws_sdk_sns::config::Builder::from(config).interceptor(Metered::new("sns", meter));
        if let Some(at) = at {
            s3 = s3.endpoint_url(&at.s3);
            dynamodb = dynamodb.endpoint_url(&at.dynamodb);
            sqs = sqs.endpoint_url(&at.sqs);
            sns = sns.endpoint_url(&at.sns);
        }
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            sns: aws_sdk_sns::Client::from_conf(sns.build()),
        }
    }
}

/// What all configurations have in common: one pool of connections, and no attempts or deadlines but the Caller's.
fn loader() -> ConfigLoader {
    let http_client = Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .build_https();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_MAX).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// Whether S3 is at an endpoint of the operator's: such a server seldom has names by bucket.
#[expect(
    clippy::disallowed_methods,
    reason = "the SDK reads its endpoints from the environment and does not tell"
)]
fn is_s3_elsewhere() -> bool {
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
        .into_iter()
        .any(|name| std::env::var(name).is_ok_and(|endpoint| !endpoint.is_empty()))
}
