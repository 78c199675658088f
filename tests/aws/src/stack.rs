//! The deployed stack.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use localstack::{LocalStack, Options, Tools};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::build::{architecture, foxfire, run, sam_build};
use crate::{Answer, Cloud};

/// Types that LocalStack accepts and ignores, and how they are checked instead.
pub const SKIPPED: [(&str, &str); 1] =
    [("AWS::CloudWatch::Dashboard", "its body is checked against the stack's own metrics and resources")];

const NAME: &str = "foxfire";
const ARTIFACTS: &str = "foxfire-artifacts";
/// Schedules tick twice a minute: the second tick of a minute is a duplicate of the first, and so is every message that it
/// sends.
const SCHEDULER_MINUTE: Duration = Duration::from_secs(30);

/// The template, deployed to a LocalStack of its own.
#[derive(Debug)]
pub struct Stack {
    /// For requests.
    pub cloud: Cloud,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
    /// Physical names by logical ones.
    pub resources: BTreeMap<String, String>,
    localstack: LocalStack,
}

impl Stack {
    /// The one deployment of this process.
    pub fn deployed() -> &'static Self {
        static STACK: OnceLock<Stack> = OnceLock::new();
        STACK.get_or_init(|| Self::deploy(None, Some(SCHEDULER_MINUTE)))
    }

    /// A deployment at a port of its own, whose minutes are minutes.
    #[must_use]
    pub fn to_play_with(port: u16) -> Self {
        Self::deploy(Some(port), None)
    }

    fn deploy(port: Option<u16>, scheduler_minute: Option<Duration>) -> Self {
        let began = Instant::now();
        let say = |what: &str| {
            let text = format!("{:6.1} s: {what}\n", began.elapsed().as_secs_f64());
            let _ = std::io::stderr().write_all(text.as_bytes());
        };
        let tools = Tools::install();
        say("the tools are installed");
        // Its own folder of the checkout's name would be found by `sam` as the source of another build.
        let folder = TempDir::new().unwrap();
        let template = sam_build(&tools, folder.path());
        say("sam build is done");
        let environment = [
            ("FOXFIRE_ALLOW_LOOPBACK", "true"),
            ("FOXFIRE_MIN_BLOCK_DURATION", "1m"),
            // A killed function's message comes back after a minute; a busy machine takes its time after that.
            ("FOXFIRE_LATE_BOUND", "2m"),
            ("FOXFIRE_RULES_ALERT_RESEND_DELAY", "10s"),
        ];
        let localstack = LocalStack::start(&Options {
            name: "stack".into(),
            function_environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
            port,
            scheduler_minute,
            ..Options::default()
        });
        say("LocalStack runs");
        run("making a bucket", &mut localstack.aws(&["s3", "mb", &format!("s3://{ARTIFACTS}")]));
        sam_deploy(&tools, &localstack, &template);
        say("sam deploy is done");
        let stack = Self::of(localstack);
        say("the stack is there");
        stack
    }

    fn of(localstack: LocalStack) -> Self {
        let mut stack = Self {
            cloud: Cloud::new(localstack.address()),
            outputs: BTreeMap::new(),
            resources: BTreeMap::new(),
            localstack,
        };
        let described = stack.aws(&["cloudformation", "describe-stacks", "--stack-name", NAME]);
        for output in described["Stacks"][0]["Outputs"].as_array().unwrap() {
            stack.outputs.insert(text(&output["OutputKey"]), text(&output["OutputValue"]));
        }
        for resource in stack.resource_list() {
            stack
                .resources
                .insert(text(&resource["LogicalResourceId"]), text(&resource["PhysicalResourceId"]));
        }
        stack
    }

    /// The stack's resources, as CloudFormation describes them.
    pub fn resource_list(&self) -> Vec<Value> {
        let listed = self.aws(&["cloudformation", "describe-stack-resources", "--stack-name", NAME]);
        listed["StackResources"].as_array().unwrap().clone()
    }

    /// One of the stack's outputs.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output {name}: {:?}", self.outputs))
    }

    /// The physical name of a resource.
    pub fn resource(&self, logical: &str) -> &str {
        self.resources.get(logical).unwrap_or_else(|| panic!("no resource {logical}: {:?}", self.resources))
    }

    /// AWS's CLI; what it prints is JSON, or nothing.
    pub fn aws(&self, arguments: &[&str]) -> Value {
        let printed = run(&arguments.join(" "), self.localstack.aws(arguments).args(["--output", "json"]));
        if printed.trim().is_empty() { Value::Null } else { serde_json::from_str(&printed).unwrap() }
    }

    /// AWS's CLI, where it may fail.
    ///
    /// # Errors
    /// What it says.
    pub fn try_aws(&self, arguments: &[&str]) -> Result<(), String> {
        let output = self.localstack.aws(arguments).output().unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// What the executor refused because no policy allows it, or one denies it.
    pub fn denied(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.localstack.log()).unwrap();
        log.lines().filter(|line| line.contains("denied: ")).map(str::to_owned).collect()
    }

    /// LocalStack's process.
    pub fn localstack_pid(&self) -> u32 {
        self.localstack.pid()
    }

    /// The environment for what is to use the deployment.
    pub fn env(&self) -> BTreeMap<String, String> {
        self.localstack.env()
    }

    /// Pushes a configuration as an operator does: by the stack's own command.
    pub fn push(&self, folder: &Path) {
        let command = self.output("ConfigPushCommand").to_owned();
        let arguments = command.split_whitespace().skip(1);
        let mut foxfire = std::process::Command::new(foxfire());
        foxfire.args(arguments).current_dir(folder).envs(self.env());
        run(&command, &mut foxfire);
    }

    /// GETs from the HTTP API.
    pub fn get(&self, path: &str) -> Answer {
        self.cloud.get(&format!("{}{path}", self.api()))
    }

    /// POSTs to the HTTP API.
    pub fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.cloud.post(&format!("{}{path}", self.api()), headers, body)
    }

    /// The result of an instant query, at a time in seconds or now.
    ///
    /// # Errors
    /// The answer, where it is no success.
    pub fn query(&self, expr: &str, at: Option<i64>) -> Result<Vec<Value>, String> {
        let mut path = format!("/api/v1/query?query={}", encoded(expr));
        if let Some(at) = at {
            path += &format!("&time={at}");
        }
        let answer = self.get(&path);
        let body: Value = serde_json::from_str(&answer.body).map_err(|_| format!("{answer:?}"))?;
        match body["data"]["result"].as_array() {
            Some(result) if answer.status == 200 => Ok(result.clone()),
            _ => Err(format!("{answer:?}")),
        }
    }

    /// Keys of objects of the stack's bucket.
    pub fn objects(&self, prefix: &str) -> Vec<String> {
        let bucket = self.output("Bucket");
        let listed = self.aws(&["s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix]);
        let contents = listed["Contents"].as_array().cloned().unwrap_or_default();
        contents.iter().map(|object| text(&object["Key"])).collect()
    }

    /// All rows of the stack's table whose partition begins with `prefix`, by their keys.
    pub fn rows(&self, prefix: &str) -> BTreeMap<(String, String), Value> {
        let mut rows = BTreeMap::new();
        let mut input = json!({"TableName": self.output("Table"), "ConsistentRead": true});
        loop {
            let page = self.cloud.dynamodb("Scan", &input);
            for item in page["Items"].as_array().unwrap() {
                let key = (text(&item["pk"]["S"]), text(&item["sk"]["S"]));
                if key.0.starts_with(prefix) {
                    rows.insert(key, item.clone());
                }
            }
            if page["LastEvaluatedKey"].is_null() {
                return rows;
            }
            input["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
    }

    /// Where the HTTP API answers.
    pub fn api_url(&self) -> String {
        format!("{}{}", self.localstack.endpoint, self.api())
    }

    fn api(&self) -> String {
        format!("/_aws/execute-api/{}/$default", self.output("ApiId"))
    }
}

/// Now, ms since the epoch.
#[must_use]
pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn sam_deploy(tools: &Tools, localstack: &LocalStack, template: &Path) {
    let mut sam = tools.command("sam");
    sam.args(["deploy", "--config-env", "local", "--template-file"]).arg(template);
    sam.args(["--stack-name", NAME, "--s3-bucket", ARTIFACTS, "--parameter-overrides"]);
    sam.args([&architecture(), "AuthMode=NONE", "EnableAdminApi=true"]);
    run("sam deploy", sam.envs(localstack.env()).env("SAM_CLI_POLL_DELAY", "1"));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A query parameter's value.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte))
        } else {
            encoded += &format!("%{byte:02X}")
        }
    }
    encoded
}
