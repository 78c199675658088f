//! What each request is billed as.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::ConsumedCapacity;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, Error, FinalizerInterceptorContextRef, Output,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, Metadata, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use platform::{Billed, Meter};

use crate::rows::item_bytes;

/// SQS and SNS bill a request for each 64 KiB of its body.
const CHUNK_BYTES: u64 = 64 * 1024;

/// DynamoDB bills a write for each 1 KB.
const WRITE_UNIT_BYTES: usize = 1024;

/// Tells a meter of every attempt that an SDK client makes.
pub(crate) struct Metered {
    service: &'static str,
    meter: Arc<dyn Meter>,
}

impl Metered {
    /// For a client of `service`.
    pub(crate) fn new(service: &'static str, meter: &Arc<dyn Meter>) -> Self {
        Self { service, meter: Arc::clone(meter) }
    }
}

/// The bytes of an attempt's body.
#[derive(Clone, Copy, Debug)]
struct Sent(u64);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

impl std::fmt::Debug for Metered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metered").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Intercept for Metered {
    fn name(&self) -> &'static str {
        "Metered"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // After the attempt the request is gone.
        config.interceptor_state().store_put(Sent(request_bytes(context.request())));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map_or("", |metadata| operation_name(metadata.name()));
        let sent = config.load::<Sent>().map_or(0, |sent| sent.0);
        let received = context.response().map_or(0, response_bytes);
        let units = match self.service {
            "s3" => 1.0,
            "dynamodb" => context.output_or_error().map_or(0.0, dynamodb_units),
            _ => chunks(sent.max(received)),
        };
        self.meter.count(Billed { service: self.service, operation, units, sent, received });
        Ok(())
    }
}

/// The names of the operations that the adapter uses.
fn operation_name(name: &str) -> &'static str {
    const NAMES: [&str; 15] = [
        "PutObject",
        "GetObject",
        "HeadObject",
        "ListObjectsV2",
        "DeleteObject",
        "PutItem",
        "UpdateItem",
        "GetItem",
        "Query",
        "DeleteItem",
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "Publish",
        "AssumeRole",
    ];
    NAMES.into_iter().find(|own| *own == name).unwrap_or("other")
}

fn request_bytes(request: &HttpRequest) -> u64 {
    let by_header = || request.headers().get("content-length").and_then(|length| length.parse().ok());
    request.body().content_length().or_else(by_header).unwrap_or(0)
}

fn response_bytes(response: &HttpResponse) -> u64 {
    let by_header = || response.headers().get("content-length").and_then(|length| length.parse().ok());
    response.body().bytes().map(|bytes| bytes.len() as u64).or_else(by_header).unwrap_or(0)
}

/// Requests of 64 KiB; the price is for at least one.
fn chunks(bytes: u64) -> f64 {
    units_of(bytes.div_ceil(CHUNK_BYTES).max(1))
}

/// What DynamoDB says that it has consumed. Of a failed condition it says nothing: such a write is billed by the size of
/// the item that is there.
fn dynamodb_units(outcome: Result<&Output, &OrchestratorError<Error>>) -> f64 {
    match outcome {
        Ok(output) => capacity(output).and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0),
        Err(error) => {
            let error = error.as_operation_error();
            let put = error.and_then(|error| error.downcast_ref::<PutItemError>());
            let update = error.and_then(|error| error.downcast_ref::<UpdateItemError>());
            match (put, update) {
                (Some(PutItemError::ConditionalCheckFailedException(failed)), _)
                | (_, Some(UpdateItemError::ConditionalCheckFailedException(failed))) => failed_units(failed),
                _ => 0.0,
            }
        }
    }
}

fn capacity(output: &Output) -> Option<&ConsumedCapacity> {
    if let Some(output) = output.downcast_ref::<PutItemOutput>() {
        output.consumed_capacity()
    } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
        output.consumed_capacity()
    } else if let Some(output) = output.downcast_ref::<GetItemOutput>() {
        output.consumed_capacity()
    } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
        output.consumed_capacity()
    } else if let Some(output) = output.downcast_ref::<DeleteItemOutput>() {
        output.consumed_capacity()
    } else {
        None
    }
}

fn failed_units(failed: &ConditionalCheckFailedException) -> f64 {
    let bytes = failed.item().map_or(0, |item| item_bytes(item.iter()));
    units_of(bytes.div_ceil(WRITE_UNIT_BYTES).max(1) as u64)
}

/// A count as a number with a fraction; exact up to 2^32, far above any one request.
fn units_of(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_billed_by_64_kib_and_at_least_once() {
        for (bytes, units) in [(0, 1.0), (1, 1.0), (65_536, 1.0), (65_537, 2.0), (262_144, 4.0)] {
            assert!((chunks(bytes) - units).abs() < f64::EPSILON, "{bytes}");
        }
    }

    #[test]
    fn operations_that_nobody_named_are_other() {
        assert_eq!((operation_name("PutItem"), operation_name("CreateTable")), ("PutItem", "other"));
    }
}
