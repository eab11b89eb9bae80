//! What goes over the wire to CloudFormation, and what is made of its answers: the calls that no
//! emulator answers as AWS does.

mod see;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use aws_credential_types::Credentials;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::cloud::{
    NewObject, Order, Presence, Proposal, Sent, StackResource, Stacks, Subject, Terms, Wanted,
};

/// AWS on a port of this machine that gives these good answers, one a request, and tells the requests'
/// bodies.
fn aws(answers: Vec<String>) -> (Aws, Receiver<String>) {
    aws_with(answers.into_iter().map(|it| (200, it)).collect())
}

/// The same, with the answers' statuses.
fn aws_with(answers: Vec<(u16, String)>) -> (Aws, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, bodies) = channel();
    std::thread::spawn(move || {
        for (status, answer) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim().to_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            tell.send(String::from_utf8(body).unwrap()).unwrap();
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            stream.write_all((head + &answer).as_bytes()).unwrap();
        }
    });
    (client(endpoint, RetryConfig::disabled()), bodies)
}

fn client(endpoint: String, tries: RetryConfig) -> Aws {
    let config = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .retry_config(tries)
        .http_client(Builder::new().build_http())
        .credentials_provider(
            aws_credential_types::provider::SharedCredentialsProvider::new(Credentials::new(
                "key", "secret", None, None, "test",
            )),
        )
        .build();
    Aws::of(&config, "us-east-1".to_owned())
}

fn answer(call: &str, content: &str) -> String {
    format!("<{call}Response><{call}Result>{content}</{call}Result></{call}Response>")
}

#[tokio::test]
async fn failures_come_from_all_pages_the_oldest_first_without_warnings() {
    let newest = "<OperationEvents>\
        <member><OperationId>2</OperationId><OperationType>ROLLBACK</OperationType>\
        <LogicalResourceId>Role</LogicalResourceId><ResourceType>AWS::IAM::Role</ResourceType>\
        <ResourceStatusReason>cannot be undone</ResourceStatusReason>\
        <Timestamp>2026-11-01T00:00:03Z</Timestamp></member>\
        <member><OperationId>1</OperationId><ValidationFailureMode>WARN</ValidationFailureMode>\
        <ValidationStatusReason>only a warning</ValidationStatusReason>\
        <Timestamp>2026-11-01T00:00:02Z</Timestamp></member>\
        </OperationEvents><NextToken>more</NextToken>";
    let oldest = "<OperationEvents>\
        <member><OperationId>1</OperationId><OperationType>CREATE_STACK</OperationType>\
        <ClientRequestToken>ours</ClientRequestToken>\
        <LogicalResourceId>Table</LogicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType>\
        <ResourceStatusReason>no more tables</ResourceStatusReason>\
        <Timestamp>2026-11-01T00:00:01Z</Timestamp></member></OperationEvents>";
    let pages = [newest, oldest].map(|it| answer("DescribeEvents", it));
    let (aws, bodies) = aws(pages.into());
    let failures = aws.failures(Subject::Stack("arn:stack")).await.unwrap();
    let told: Vec<_> = failures
        .iter()
        .map(|it| (it.resource.as_str(), it.token.as_deref(), it.is_rollback))
        .collect();
    assert_eq!(told, [("Table", Some("ours"), false), ("Role", None, true)]);
    let first = bodies.recv().unwrap();
    assert!(first.contains("StackName=arn%3Astack") && first.contains("Filters.FailedEvents=true"));
    assert!(bodies.recv().unwrap().contains("NextToken=more"));
}

#[tokio::test]
async fn an_early_validation_is_asked_for_by_the_change_set_alone() {
    let found = "<OperationEvents><member><EventType>VALIDATION_ERROR</EventType>\
        <LogicalResourceId>SiteBucket</LogicalResourceId><ResourceType>AWS::S3::Bucket</ResourceType>\
        <ValidationFailureMode>FAIL</ValidationFailureMode><ValidationStatus>FAILED</ValidationStatus>\
        <ValidationStatusReason>already exists</ValidationStatusReason></member></OperationEvents>";
    let (aws, bodies) = aws(vec![answer("DescribeEvents", found)]);
    let proposal = Proposal {
        id: "arn:change-set".to_owned(),
        stack_id: "arn:stack".to_owned(),
    };
    let failures = aws.failures(Subject::Proposal(&proposal)).await.unwrap();
    assert_eq!(failures[0].reason, "already exists");
    let body = bodies.recv().unwrap();
    assert!(
        body.contains("ChangeSetName=arn%3Achange-set") && !body.contains("StackName="),
        "{body}"
    );
}

#[tokio::test]
async fn events_are_read_back_to_the_one_that_was_seen_or_to_the_beginning_of_the_operation() {
    let event = |id: &str, status: &str, reason: &str| {
        format!(
            "<member><EventId>{id}</EventId><LogicalResourceId>chat-dev</LogicalResourceId>\
             <ResourceType>AWS::CloudFormation::Stack</ResourceType>\
             <ResourceStatus>{status}</ResourceStatus>\
             <ResourceStatusReason>{reason}</ResourceStatusReason></member>"
        )
    };
    let first = [
        event("5", "UPDATE_COMPLETE", ""),
        event("4", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ""),
    ];
    let second = [
        event("3", "UPDATE_IN_PROGRESS", "User Initiated"),
        event("2", "CREATE_COMPLETE", ""),
    ];
    let pages = || {
        let first = format!(
            "<StackEvents>{}</StackEvents><NextToken>more</NextToken>",
            first.concat()
        );
        // Its next page is never asked for.
        let second = format!(
            "<StackEvents>{}</StackEvents><NextToken>older</NextToken>",
            second.concat()
        );
        [first, second]
            .iter()
            .map(|it| answer("DescribeStackEvents", it))
            .collect()
    };
    for (after, expected) in [
        (None, &["3", "4", "5"][..]),
        (Some("4"), &["5"]),
        (Some("2"), &["3", "4", "5"]),
    ] {
        let (aws, _bodies) = aws(pages());
        let events = aws.events("arn:stack", after).await.unwrap();
        let ids: Vec<_> = events.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, expected, "{after:?}");
    }
}

#[tokio::test]
async fn each_request_carries_its_token_the_role_and_how_to_go_about_it() {
    let proposed = "<Id>arn:change-set</Id><StackId>arn:stack</StackId>";
    let role_arn = Some("arn:aws:iam::123456789012:role/chat".to_owned());
    for (is_express, keeps_failure) in [(false, false), (false, true), (true, false), (true, true)]
    {
        let (aws, bodies) = aws(vec![
            answer("CreateChangeSet", proposed),
            answer("ExecuteChangeSet", ""),
            answer("RollbackStack", ""),
            answer("ContinueUpdateRollback", ""),
            answer("DeleteStack", ""),
        ]);
        let terms = Terms {
            is_express,
            role_arn: role_arn.clone(),
        };
        let mut order = Order::new(&terms);
        order.keeps_failure = keeps_failure;
        let wanted = Wanted {
            name: "chat-dev".to_owned(),
            template: "Resources: {}".to_owned(),
            parameters: Vec::new(),
            owner: "chat",
            tags: Vec::new(),
            aside: None,
        };
        let proposal = aws.propose(&wanted, Sent::Inside, false, &order);
        let proposal = proposal.await.unwrap();
        aws.execute(&proposal, &order).await.unwrap();
        aws.roll_back("arn:stack", &order).await.unwrap();
        aws.continue_rollback("arn:stack", &order).await.unwrap();
        aws.delete("arn:stack", &order).await.unwrap();
        let bodies: Vec<_> = bodies.iter().take(5).collect();
        let case = format!("express {is_express}, keeps {keeps_failure}");

        assert!(
            bodies[0].contains(&format!("ClientToken={}", order.token)),
            "{case}"
        );
        for body in &bodies[1..] {
            let token = format!("ClientRequestToken={}", order.token);
            assert!(body.contains(&token), "{case}: {body}");
        }
        let role = "RoleARN=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fchat";
        for index in [0, 2, 3, 4] {
            assert!(bodies[index].contains(role), "{case}: {}", bodies[index]);
        }
        let mode = format!(
            "DeploymentConfig.Mode=EXPRESS&DeploymentConfig.DisableRollback={keeps_failure}"
        );
        assert_eq!(
            bodies[0].contains(&mode),
            is_express,
            "{case}: {}",
            bodies[0]
        );
        assert_eq!(bodies[0].contains("DeploymentConfig"), is_express, "{case}");
        let is_said = keeps_failure && !is_express;
        assert_eq!(
            bodies[1].contains("DisableRollback=true"),
            is_said,
            "{case}"
        );
        assert_eq!(bodies[1].contains("DisableRollback"), is_said, "{case}");
    }
}

#[tokio::test]
async fn resources_and_their_fates_come_from_all_pages() {
    let page = |name: &str, status: &str, more: &str| {
        let member = format!(
            "<member><LogicalResourceId>{name}</LogicalResourceId>\
             <PhysicalResourceId>id</PhysicalResourceId><ResourceType>AWS::IAM::Role</ResourceType>\
             <ResourceStatus>{status}</ResourceStatus></member>"
        );
        let members = format!("<StackResourceSummaries>{member}</StackResourceSummaries>{more}");
        answer("ListStackResources", &members)
    };
    let pages = || {
        vec![
            page("One", "DELETE_COMPLETE", "<NextToken>more</NextToken>"),
            page("Two", "DELETE_SKIPPED", "<NextToken>more</NextToken>"),
            page("Three", "CREATE_COMPLETE", ""),
        ]
    };
    let (there, _bodies) = aws(pages());
    let resources = there.resources("arn:stack").await.unwrap();
    let names: Vec<_> = resources.iter().map(|it| it.resource.as_str()).collect();
    assert_eq!(names, ["Three"]);
    let (gone, _bodies) = aws(pages());
    let fates = gone.fates("arn:stack").await.unwrap();
    let fates: Vec<_> = fates
        .iter()
        .map(|(resource, it)| (resource.resource.as_str(), it.as_str()))
        .collect();
    assert_eq!(
        fates,
        [
            ("One", "DELETE_COMPLETE"),
            ("Two", "DELETE_SKIPPED"),
            ("Three", "CREATE_COMPLETE")
        ]
    );
}

#[tokio::test]
async fn of_all_stacks_of_a_name_that_are_gone_the_last_one_is_found() {
    let page = |name: &str, id: &str, time: &str, more: &str| {
        let member = format!(
            "<member><StackId>{id}</StackId><StackName>{name}</StackName>\
             <CreationTime>2026-01-01T00:00:00Z</CreationTime><DeletionTime>{time}</DeletionTime>\
             <StackStatus>DELETE_COMPLETE</StackStatus></member>"
        );
        answer(
            "ListStacks",
            &format!("<StackSummaries>{member}</StackSummaries>{more}"),
        )
    };
    let (aws, bodies) = aws(vec![
        page(
            "chat-dev",
            "first",
            "2026-01-02T00:00:00Z",
            "<NextToken>more</NextToken>",
        ),
        page(
            "chat-dev",
            "last",
            "2026-01-04T00:00:00Z",
            "<NextToken>more</NextToken>",
        ),
        page("chat-dev-2", "other", "2026-01-05T00:00:00Z", ""),
    ]);
    assert_eq!(aws.last_gone("chat-dev").await, Ok(Some("last".to_owned())));
    let asked: Vec<_> = bodies.try_iter().collect();
    let asked = asked.join("\n");
    assert!(
        asked.contains("StackStatusFilter.member.1=DELETE_COMPLETE"),
        "{asked}"
    );
}

#[tokio::test]
async fn each_service_is_understood_when_it_has_the_thing_when_not_and_when_it_does_not_tell() {
    let denied = r#"{"__type":"AccessDeniedException","message":"no"}"#;
    let absent = r#"{"__type":"ResourceNotFoundException","message":"no"}"#;
    let xml =
        |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
    let (bucket, table, function) = (
        "AWS::S3::Bucket",
        "AWS::DynamoDB::Table",
        "AWS::Lambda::Function",
    );
    let (distribution, control, policy) = (
        "AWS::CloudFront::Distribution",
        "AWS::CloudFront::OriginAccessControl",
        "AWS::CloudFront::ResponseHeadersPolicy",
    );
    for (kind, status, body, expected) in [
        (bucket, 200, String::new(), Some(true)),
        (bucket, 404, String::new(), Some(false)),
        (bucket, 403, String::new(), None),
        (table, 200, "{}".to_owned(), Some(true)),
        (table, 400, absent.to_owned(), Some(false)),
        (table, 400, denied.to_owned(), None),
        (function, 200, "{}".to_owned(), Some(true)),
        (function, 404, absent.to_owned(), Some(false)),
        (function, 403, denied.to_owned(), None),
        (distribution, 404, xml("NoSuchDistribution"), Some(false)),
        (distribution, 403, xml("AccessDenied"), None),
        (control, 404, xml("NoSuchOriginAccessControl"), Some(false)),
        (policy, 404, xml("NoSuchResponseHeadersPolicy"), Some(false)),
    ] {
        let (aws, _bodies) = aws_with(vec![(status, body)]);
        let resource = StackResource {
            resource: "It".to_owned(),
            kind: kind.to_owned(),
            physical_id: Some("id".to_owned()),
        };
        match (aws.is_there(&resource).await, expected) {
            (Ok(found), Some(_)) => assert_eq!(found, expected, "{kind} {status}"),
            (Err(CloudError::Denied { .. }), None) => {}
            (other, _) => panic!("{kind} {status}: {other:?}"),
        }
    }
    let (aws, _bodies) = aws(Vec::new());
    let role = StackResource {
        resource: "It".to_owned(),
        kind: "AWS::IAM::Role".to_owned(),
        physical_id: Some("id".to_owned()),
    };
    assert_eq!(aws.is_there(&role).await, Ok(None));
}

#[tokio::test]
async fn only_this_programs_own_stacks_and_those_that_are_only_begun_are_named() {
    let stack = |name: &str, status: &str, owner: &str| {
        let tag = format!("<member><Key>chatctl</Key><Value>{owner}</Value></member>");
        let tags = if owner.is_empty() { "" } else { &tag };
        format!(
            "<member><StackName>{name}</StackName><StackStatus>{status}</StackStatus>\
             <Tags><member><Key>x</Key><Value>chat</Value></member>{tags}</Tags></member>"
        )
    };
    let first = [
        stack("chat-dev", "CREATE_COMPLETE", "chat"),
        stack("chat-of-somebody", "CREATE_COMPLETE", ""),
        stack("chat-room-of-ours", "CREATE_COMPLETE", "artifacts"),
    ];
    let second = [
        stack("chat-begun", "REVIEW_IN_PROGRESS", ""),
        stack("begun", "REVIEW_IN_PROGRESS", ""),
        stack("other", "CREATE_COMPLETE", "chat"),
        stack("chat-prod", "UPDATE_ROLLBACK_FAILED", "chat"),
    ];
    let page = |stacks: &[String], more: &str| {
        let stacks = format!("<Stacks>{}</Stacks>{more}", stacks.concat());
        answer("DescribeStacks", &stacks)
    };
    let (aws, _bodies) = aws(vec![
        page(&first, "<NextToken>more</NextToken>"),
        page(&second, ""),
    ]);
    let names = aws.names("chat-", "chat").await.unwrap();
    assert_eq!(names, ["chat-dev", "chat-begun", "chat-prod"]);
}

#[tokio::test]
async fn a_stacks_protection_is_read_and_switched() {
    let stack = |protection: &str| {
        let stack = format!(
            "<Stacks><member><StackName>chat-dev</StackName><StackId>arn:stack</StackId>\
             <StackStatus>CREATE_COMPLETE</StackStatus>{protection}</member></Stacks>"
        );
        answer("DescribeStacks", &stack)
    };
    let on = "<EnableTerminationProtection>true</EnableTerminationProtection>";
    let off = "<EnableTerminationProtection>false</EnableTerminationProtection>";
    for (protection, expected) in [(on, true), (off, false), ("", false)] {
        let (aws, _bodies) = aws(vec![stack(protection)]);
        let found = aws.find("chat-dev").await.unwrap().unwrap();
        assert_eq!(found.is_protected, expected, "{protection}");
    }
    for is_protected in [true, false] {
        let (aws, bodies) = aws(vec![answer("UpdateTerminationProtection", "")]);
        aws.protect("arn:stack", is_protected).await.unwrap();
        let body = bodies.recv().unwrap();
        assert!(body.contains("StackName=arn%3Astack"), "{body}");
        let switch = format!("EnableTerminationProtection={is_protected}");
        assert!(body.contains(&switch), "{body}");
    }
}

#[tokio::test]
async fn a_file_whose_answer_is_lost_is_put_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let aws = client(endpoint, RetryConfig::standard().with_max_attempts(3));
    let object = NewObject {
        key: "index.html".to_owned(),
        body: "page".into(),
        content_type: "text/html".to_owned(),
        cache_control: None,
    };
    let server = async {
        // Held, so that it is neither answered nor closed.
        let (silent, _) = listener.accept().await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"page") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        drop(silent);
    };
    // Ample for the answer that comes, on any machine.
    let put = aws.put_within("bucket", object, Duration::from_secs(4));
    let both = async { tokio::join!(put, server) };
    let (put, ()) = tokio::time::timeout(Duration::from_mins(2), both)
        .await
        .expect("it is put again");
    put.unwrap();
}
