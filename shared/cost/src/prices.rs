//! The list prices: the only place where they stand.
//!
//! Region us-east-1, US dollars, first tier of each, without any free tier. As published on 2026-10-07, from each service's
//! public pricing page and the AWS Price List API:
//!
//! | service | source |
//! |---|---|
//! | S3 | aws.amazon.com/s3/pricing, S3 Standard |
//! | DynamoDB | aws.amazon.com/dynamodb/pricing/on-demand, Standard table class |
//! | SQS | aws.amazon.com/sqs/pricing, standard queues |
//! | SNS | aws.amazon.com/sns/pricing, standard topics |
//! | Lambda | aws.amazon.com/lambda/pricing |
//! | Scheduler | aws.amazon.com/eventbridge/pricing |
//! | API Gateway | aws.amazon.com/api-gateway/pricing, HTTP API |
//! | CloudWatch | aws.amazon.com/cloudwatch/pricing |
//! | data transfer | aws.amazon.com/ec2/pricing/on-demand |

/// Prices of what foxfire uses, in dollars a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// Where they hold.
    pub region: &'static str,
    /// When they were read.
    pub as_of: &'static str,
    /// S3: one PUT, COPY, POST or LIST. DELETE is free.
    pub s3_put: f64,
    /// S3: one GET or HEAD.
    pub s3_get: f64,
    /// S3 Standard: a GB for a month, of the first 50 TB.
    pub s3_gb_month: f64,
    /// DynamoDB on demand: one write request unit, 1 KiB of an item written.
    pub dynamodb_write_unit: f64,
    /// DynamoDB on demand: one read request unit, 4 KiB read consistently.
    pub dynamodb_read_unit: f64,
    /// DynamoDB Standard: a GB for a month.
    pub dynamodb_gb_month: f64,
    /// DynamoDB: point in time recovery, a GB of table for a month.
    pub dynamodb_pitr_gb_month: f64,
    /// SQS standard: one request of up to 64 KiB.
    pub sqs_request: f64,
    /// SNS standard: one publish of up to 64 KiB. Deliveries to SQS and Lambda are free.
    pub sns_publish: f64,
    /// SNS: one delivery to HTTP or HTTPS.
    pub sns_http_delivery: f64,
    /// SNS: one e-mail.
    pub sns_email_delivery: f64,
    /// Lambda: one invocation.
    pub lambda_request: f64,
    /// Lambda on arm64: a GB-second, of the first 7.5 billion.
    pub lambda_gb_second_arm64: f64,
    /// Lambda on x86-64: a GB-second, of the first 6 billion.
    pub lambda_gb_second_x86_64: f64,
    /// EventBridge Scheduler: one invocation.
    pub scheduler_invocation: f64,
    /// API Gateway, HTTP API: one request of up to 512 KiB.
    pub http_api_request: f64,
    /// CloudWatch Logs: a GB taken in.
    pub logs_gb: f64,
    /// CloudWatch Logs: a GB kept for a month.
    pub logs_gb_month: f64,
    /// CloudWatch: one custom metric for a month, of the first 10,000.
    pub custom_metric_month: f64,
    /// CloudWatch: one standard alarm for a month.
    pub alarm_month: f64,
    /// CloudWatch: one dashboard for a month; an account's first three are free.
    pub dashboard_month: f64,
    /// A GB sent to the internet, of the first 10 TB.
    pub internet_gb: f64,
    /// A GB between two availability zones, each way.
    pub cross_zone_gb: f64,
}

/// Lambda on arm64: dollars a GB-second.
pub const LAMBDA_ARM64: f64 = 0.000_013_333_4;
/// Lambda on x86-64: dollars a GB-second.
pub const LAMBDA_X86_64: f64 = 0.000_016_666_7;

/// The list prices of us-east-1.
pub const US_EAST_1: Prices = Prices {
    region: "us-east-1",
    as_of: "2026-10-07",
    s3_put: 5.0e-6,
    s3_get: 0.4e-6,
    s3_gb_month: 0.023,
    dynamodb_write_unit: 0.625e-6,
    dynamodb_read_unit: 0.125e-6,
    dynamodb_gb_month: 0.25,
    dynamodb_pitr_gb_month: 0.20,
    sqs_request: 0.4e-6,
    sns_publish: 0.5e-6,
    sns_http_delivery: 0.6e-6,
    sns_email_delivery: 20.0e-6,
    lambda_request: 0.2e-6,
    lambda_gb_second_arm64: LAMBDA_ARM64,
    lambda_gb_second_x86_64: LAMBDA_X86_64,
    scheduler_invocation: 1.0e-6,
    http_api_request: 1.0e-6,
    logs_gb: 0.50,
    logs_gb_month: 0.03,
    custom_metric_month: 0.30,
    alarm_month: 0.10,
    dashboard_month: 3.0,
    internet_gb: 0.09,
    cross_zone_gb: 0.01,
};

/// What one unit of an action costs, and what the unit is called; `None` for an action that is free or unknown.
pub(crate) fn price_of(prices: &Prices, action: &str) -> Option<(f64, &'static str)> {
    let (service, operation) = action.split_once(':')?;
    match service {
        "s3" => match operation {
            "PutObject"
            | "CopyObject"
            | "PostObject"
            | "ListObjects"
            | "ListObjectsV2"
            | "ListBucket"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "CompleteMultipartUpload" => Some((prices.s3_put, "PUT, LIST")),
            "GetObject" | "HeadObject" | "GetObjectAttributes" | "HeadBucket" => {
                Some((prices.s3_get, "GET, HEAD"))
            }
            _ => None,
        },
        "dynamodb" => match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems" => {
                Some((prices.dynamodb_write_unit, "write units"))
            }
            "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems" => {
                Some((prices.dynamodb_read_unit, "read units"))
            }
            _ => None,
        },
        "sqs" => Some((prices.sqs_request, "requests")),
        "sns" => (operation == "Publish" || operation == "PublishBatch")
            .then_some((prices.sns_publish, "publishes")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_stand_in_the_ratios_that_the_design_rests_on() {
        let p = US_EAST_1;
        assert!((p.s3_put / p.dynamodb_write_unit - 8.0).abs() < 1e-9, "a PUT is eight write units");
        assert!((p.dynamodb_write_unit / p.dynamodb_read_unit - 5.0).abs() < 1e-9);
        assert!((p.s3_put / p.s3_get - 12.5).abs() < 1e-9);
        assert!((p.lambda_gb_second_arm64 / p.lambda_gb_second_x86_64 - 0.8).abs() < 1e-3);
    }

    #[test]
    fn every_action_has_the_price_of_its_kind() {
        let price = |action| price_of(&US_EAST_1, action).map(|(price, _)| price);
        assert_eq!(price("s3:PutObject"), Some(5.0e-6));
        assert_eq!(price("s3:ListObjectsV2"), Some(5.0e-6));
        assert_eq!(price("s3:GetObject"), Some(0.4e-6));
        assert_eq!(price("s3:DeleteObject"), None);
        assert_eq!(price("dynamodb:UpdateItem"), Some(0.625e-6));
        assert_eq!(price("dynamodb:Query"), Some(0.125e-6));
        assert_eq!(price("sqs:DeleteMessageBatch"), Some(0.4e-6));
        assert_eq!(price("sns:Publish"), Some(0.5e-6));
        assert_eq!(price("nonsense"), None);
    }
}
