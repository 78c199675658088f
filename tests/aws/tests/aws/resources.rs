//! What CloudFormation made of the template.

use std::collections::BTreeSet;

use aws::{SKIPPED, Stack};
use localstack::{REGION, Tools};

#[test]
fn the_template_is_valid() {
    let tools = Tools::install();
    for (program, arguments) in [("sam", &["validate", "--lint"][..]), ("cfn-lint", &["template.yaml"])] {
        let output =
            tools.command(program).args(arguments).env("AWS_DEFAULT_REGION", REGION).output().unwrap();
        let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program}: {said:?}");
    }
}

#[test]
fn no_resource_was_skipped_but_those_that_are_checked_otherwise() {
    let stack = Stack::deployed();
    let resources = stack.resource_list();
    assert!(resources.len() > 50, "{}", resources.len());
    for resource in &resources {
        let status = resource["ResourceStatus"].as_str().unwrap();
        assert!(matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE"), "{resource}");
        let reason = resource["ResourceStatusReason"].as_str().unwrap_or_default();
        let kind = resource["ResourceType"].as_str().unwrap();
        let known = SKIPPED.iter().any(|(skipped, _)| *skipped == kind);
        assert!(known || !reason.contains("fallback"), "skipped: {resource}");
    }
}

#[test]
fn the_dashboard_shows_what_exists() {
    let template =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml")).unwrap();
    let (_, body) = template.split_once("DashboardBody: !Sub |\n").unwrap();
    let body: String =
        body.lines().take_while(|line| line.starts_with("        ")).collect::<Vec<_>>().join("\n");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let mut named = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            let parts = metric.as_array().unwrap().iter().filter_map(|part| part.as_str());
            named.extend(parts.filter_map(|part| part.strip_prefix("${")).map(str::to_owned));
        }
    }
    assert!(named.len() > 8, "{named:?}");
    for name in named {
        let resource = name.trim_end_matches('}').split('.').next().unwrap().to_owned();
        let exists = template.lines().any(|line| line == format!("  {resource}:"));
        assert!(exists || resource.starts_with("AWS::"), "{resource} is not in the template");
    }
}

#[test]
fn nobody_overwrites_an_object_but_files_of_the_operator() {
    let stack = Stack::deployed();
    let put = |key: &str, condition: &[&str]| {
        let put = ["s3api", "put-object", "--bucket", stack.output("Bucket"), "--key", key];
        stack.try_aws(&[&put[..], condition].concat())
    };
    let denied = put("data/of-a-test", &[]).unwrap_err();
    assert!(denied.contains("AccessDenied"), "{denied}");
    put("data/of-a-test", &["--if-none-match", "*"]).unwrap();
    let there = put("data/of-a-test", &["--if-none-match", "*"]).unwrap_err();
    assert!(there.contains("PreconditionFailed"), "{there}");
    put("files/of-a-test", &[]).unwrap();
    put("files/of-a-test", &[]).unwrap();
}

#[test]
fn the_bucket_is_closed_and_the_table_expires_rows() {
    let stack = Stack::deployed();
    let bucket = stack.output("Bucket");
    let access = stack.aws(&["s3api", "get-public-access-block", "--bucket", bucket]);
    for (what, blocked) in access["PublicAccessBlockConfiguration"].as_object().unwrap() {
        assert_eq!(blocked, true, "{what}");
    }
    let policy = stack.aws(&["s3api", "get-bucket-policy", "--bucket", bucket]);
    let policy: serde_json::Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    let denied = policy["Statement"].as_array().unwrap();
    assert!(denied.iter().all(|statement| statement["Effect"] == "Deny"), "{policy}");
    assert!(denied.iter().any(|s| s["Condition"]["Null"]["s3:if-none-match"] == "true"), "{policy}");
    let expiry = stack.aws(&["dynamodb", "describe-time-to-live", "--table-name", stack.output("Table")]);
    assert_eq!(expiry["TimeToLiveDescription"]["AttributeName"], "exp", "{expiry}");
}
