//! The SDK's clients.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
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

impl Clients {
    /// Clients by the environment. Region and credentials are looked for in environment variables first, so on Lambda
    /// neither a file nor a metadata service is asked.
    pub(crate) async fn load(meter: &Arc<dyn Meter>) -> Result<Self, AwsError> {
        let http_client = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .build_https();
        // Attempts and deadlines are the Caller's.
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_MAX).build();
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .load()
            .await;
        if config.region().is_none() {
            return Err(AwsError::NoRegion);
        }
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(is_s3_elsewhere())
            .interceptor(Metered::new("s3", meter))
            .build();
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&config)
            .interceptor(Metered::new("dynamodb", meter))
            .build();
        let sqs = aws_sdk_sqs::config::Builder::from(&config).interceptor(Metered::new("sqs", meter)).build();
        let sns = aws_sdk_sns::config::Builder::from(&config).interceptor(Metered::new("sns", meter)).build();
        Ok(Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            sqs: aws_sdk_sqs::Client::from_conf(sqs),
            sns: aws_sdk_sns::Client::from_conf(sns),
        })
    }
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
