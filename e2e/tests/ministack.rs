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
async fn a_function_without_its_package_fails_and_its_stack_takes_no_other_change() {
    let ministack = Ministack::start().await;
    let role = "arn:aws:iam::000000000000:role/any";
    let function = json!({
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Role": role,
            "Runtime": "provided.al2023",
            "Handler": "any",
            "Code": {"S3Bucket": "nowhere", "S3Key": "nothing.zip"},
        },
    });
    let template = json!({"Resources": {"Function": function}}).to_string();
    let create = json!({"StackName": "buckets", "TemplateBody": template});
    ministack
        .aws("cloudformation", "create_stack", create)
        .await;
    ends_in(&ministack, "ROLLBACK_COMPLETE").await;
    let stack = json!({"StackName": "buckets"});
    let events = ministack.aws("cloudformation", "describe_stack_events", stack);
    let events = events.await.to_string();
    assert!(events.contains("S3 Error Code: NoSuchBucket"), "{events}");

    let change = json!({
        "StackName": "buckets",
        "ChangeSetName": "another",
        "ChangeSetType": "CREATE",
        "TemplateBody": template,
    });
    let refused = ministack.try_aws("cloudformation", "create_change_set", change);
    let refused = refused.await.expect_err("it cannot be changed");
    let words = "is in ROLLBACK_COMPLETE state and can not be updated";
    assert!(refused.contains(words), "{refused}");
}

#[tokio::test]
async fn a_buckets_website_is_for_those_whom_the_bucket_is_open_to() {
    let ministack = Ministack::start().await;
    let bucket = json!({"Bucket": "page"});
    let url = "http://page.s3-website-us-east-1.amazonaws.com/";
    let status = async || ministack.get(url).await.status().as_u16();
    ministack.aws("s3", "create_bucket", bucket.clone()).await;
    let body = chatctl::checkout().join("wwwroot/index.html");
    let object = json!({"Bucket": "page", "Key": "index.html", "Body": body});
    ministack.aws("s3", "put_object", object).await;
    assert_eq!(status().await, 404, "it is no website");

    let index = json!({"IndexDocument": {"Suffix": "index.html"}});
    let website = json!({"Bucket": "page", "WebsiteConfiguration": index});
    ministack.aws("s3", "put_bucket_website", website).await;
    assert_eq!(status().await, 403, "it is private");

    let everyone = json!({
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::page/*",
    });
    let with_tls = json!({
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::page/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    });
    let policy = |statements: Value| {
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        json!({"Bucket": "page", "Policy": policy.to_string()})
    };
    let open = policy(json!([everyone]));
    let refusal = ministack.try_aws("s3", "put_bucket_policy", open.clone());
    let refusal = refusal.await.expect_err("a new bucket blocks that");
    assert!(refusal.contains("BlockPublicPolicy"), "{refusal}");
    ministack
        .aws("s3", "delete_public_access_block", bucket)
        .await;
    ministack.aws("s3", "put_bucket_policy", open).await;
    assert_eq!(status().await, 200);

    let policy = policy(json!([everyone, with_tls]));
    ministack.aws("s3", "put_bucket_policy", policy).await;
    assert_eq!(status().await, 403, "a website has no TLS");
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
