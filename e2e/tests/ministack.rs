//! The AWS of the tests is as strict as the tests believe it to be.

use std::time::Instant;

use e2e::ministack::Ministack;
use e2e::{DEADLINE, chatctl};
use serde_json::{Value, json};

#[tokio::test]
async fn a_bucket_that_is_not_empty_is_not_deleted_with_its_stack() {
    let ministack = Ministack::start().await;
    let template = json!({"Resources": {"Bucket": {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": "full", "VersioningConfiguration": {"Status": "Enabled"}},
    }}});
    let stack = json!({"StackName": "buckets"});
    let create = json!({"StackName": "buckets", "TemplateBody": template.to_string()});
    ministack
        .aws("cloudformation", "create_stack", create)
        .await;
    ends_in(&ministack, "CREATE_COMPLETE").await;

    let object =
        json!({"Bucket": "full", "Key": "it", "Body": chatctl::checkout().join("LICENSE")});
    ministack.aws("s3", "put_object", object).await;
    // What is left is a version and a delete marker.
    let object = json!({"Bucket": "full", "Key": "it"});
    ministack.aws("s3", "delete_object", object).await;
    ministack
        .aws("cloudformation", "delete_stack", stack.clone())
        .await;
    ends_in(&ministack, "DELETE_FAILED").await;

    let versions = json!({"Bucket": "full"});
    let versions = ministack.aws("s3", "list_object_versions", versions).await;
    for version in ["Versions", "DeleteMarkers"].map(|kind| &versions[kind][0]) {
        let version = json!({"Bucket": "full", "Key": "it", "VersionId": version["VersionId"]});
        ministack.aws("s3", "delete_object", version).await;
    }
    ministack.aws("cloudformation", "delete_stack", stack).await;
    ends_in(&ministack, "").await;
}

#[tokio::test]
async fn who_has_no_credentials_is_refused_and_the_record_tells() {
    let ministack = Ministack::start().await;
    let response = ministack
        .get("https://dynamodb.us-east-1.amazonaws.com/?Action=ListTables")
        .await;
    assert!(!response.status().is_success(), "{response:?}");
    let requests = ministack.requests();
    let last = requests.last().expect("the request");
    assert_eq!(last["host"], "dynamodb.us-east-1.amazonaws.com");
    assert_eq!(last["status"], response.status().as_u16());
    assert_eq!(last["caller"], "");
}

#[tokio::test]
async fn it_ends_with_the_test() {
    let ministack = Ministack::start().await;
    let pid = ministack.pid();
    assert!(chatctl::is_running(pid));
    drop(ministack);
    assert!(!chatctl::is_running(pid));
}

/// Waits until the stack is in a state; the empty one is that of no stack.
async fn ends_in(ministack: &Ministack, status: &str) {
    let since = Instant::now();
    loop {
        let stack = json!({"StackName": "buckets"});
        let stacks = ministack.try_aws("cloudformation", "describe_stacks", stack);
        let stacks = stacks.await.unwrap_or(Value::Null);
        let found = stacks["Stacks"][0]["StackStatus"].as_str();
        let found = found.unwrap_or_default();
        if found == status {
            return;
        }
        assert!(since.elapsed() < DEADLINE, "{found} and not `{status}`");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
