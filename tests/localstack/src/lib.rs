//! Brings [LocalStack](https://github.com/localstack/localstack) up by itself, without Docker, on a machine that has none.
//!
//! ```text
//! start() ── installs once, under cargo's target folder, with pinned versions:
//!    │         venv/      LocalStack and the plugin of infra/localstack/executor (Python)
//!    │         tools/     dynoxide, the DynamoDB server behind LocalStack (Rust)
//!    └────── starts a LocalStack of its own on free ports; it ends with its starter, however that ends
//!
//! Lambda functions run as host processes behind the Lambda Runtime API; EventBridge Scheduler fires;
//! SAM's HttpApi answers.
//!
//! Tools::install() ── a second venv: AWS SAM's CLI, cfn-lint, cargo-lambda
//! ```
//!
//! Several processes can install and start at the same time: a file lock makes the installation one, and each start has
//! ports and folders of its own. What cannot be installed or started ends in a panic that says what is missing.

#![allow(clippy::disallowed_methods, reason = "this crate drives real processes in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test harness fails by panicking")]
#![allow(
    clippy::missing_panics_doc,
    reason = "everything here panics where the world is not as the test needs it"
)]

mod folders;
mod installation;
mod python;
mod run;
mod server;
mod tools;

pub use server::{ACCOUNT, LocalStack, Options, REGION};
pub use tools::Tools;
