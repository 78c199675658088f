//! What a request to a cloud service is billed as, told to whoever counts.

/// One request as the provider bills it. Retries are requests of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Billed {
    /// `s3`, `dynamodb`, `sqs` or `sns`.
    pub service: &'static str,
    /// The service's own name of the operation: `PutObject`, `Query`, `SendMessage`.
    pub operation: &'static str,
    /// What the price is for: 1 for a request of S3; read or write units of DynamoDB as it returned them; requests of
    /// 64 KiB of SQS and SNS.
    pub units: f64,
    /// Bytes sent to the service in bodies.
    pub sent: u64,
    /// Bytes received from it in bodies.
    pub received: u64,
}

/// Counts what is billed. Called from many threads at once; must not block.
pub trait Meter: Send + Sync {
    /// One request was made, whatever became of it.
    fn count(&self, billed: Billed);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn count(&self, _billed: Billed) {}
}
