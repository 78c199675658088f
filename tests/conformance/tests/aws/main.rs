//! The AWS adapters pass every suite against real servers: LocalStack's S3, SQS and SNS, and two implementations of
//! DynamoDB; and they keep the contract where answers get lost on the way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail as tests do")]
#![allow(clippy::disallowed_methods, reason = "servers are real processes in real time")]

mod faults;
mod maven;
mod proxy;
mod servers;
mod suites;
mod topic;
