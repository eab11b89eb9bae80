//! What is asked to look, and what is made of the answers.

use super::*;
use crate::cloud::{Detection, Logs, StackHistory};

#[tokio::test]
async fn a_page_of_a_log_is_asked_for_by_its_token_and_tells_the_next() {
    let page = r#"{"events":[{"eventId":"e","timestamp":5,"message":"m"},{}],"nextToken":"more"}"#;
    let (aws, bodies) = aws(vec![page.to_owned(), r#"{"events":[]}"#.to_owned()]);
    let first = aws.log_page("group", 3, None).await.unwrap();
    let event = &first.events[0];
    assert_eq!(
        (event.id.as_str(), event.at_ms, event.message.as_str()),
        ("e", 5, "m")
    );
    assert_eq!(first.events.len(), 2);
    let second = aws.log_page("group", 3, first.next).await.unwrap();
    assert_eq!((second.events.len(), second.next), (0, None));
    let asked = bodies.recv().unwrap();
    assert!(asked.contains(r#""logGroupName":"group""#) && asked.contains(r#""startTime":3"#));
    assert!(!asked.contains("nextToken"), "{asked}");
    assert!(bodies.recv().unwrap().contains(r#""nextToken":"more""#));
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_a_missing_permission() {
    let denied = r#"{"__type":"AccessDeniedException","message":"no"}"#;
    let (aws, _bodies) = aws_with(vec![(400, denied.to_owned())]);
    let error = aws.log_page("group", 0, None).await.unwrap_err();
    assert!(
        matches!(&error, CloudError::Denied { action, .. } if action == "logs:FilterLogEvents")
    );
    assert!(
        error.hint().contains("--operator-policy"),
        "{}",
        error.hint()
    );
}

#[tokio::test]
async fn each_outcome_of_a_look_for_drift_is_understood() {
    let status = |text: &str| answer("DescribeStackDriftDetectionStatus", text);
    for (text, expected) in [
        (
            "<DetectionStatus>DETECTION_IN_PROGRESS</DetectionStatus>",
            Detection::InProgress,
        ),
        (
            "<DetectionStatus>DETECTION_COMPLETE</DetectionStatus>\
             <StackDriftStatus>DRIFTED</StackDriftStatus>",
            Detection::Done("DRIFTED".to_owned()),
        ),
        (
            "<DetectionStatus>DETECTION_FAILED</DetectionStatus>\
             <DetectionStatusReason>may not read</DetectionStatusReason>",
            Detection::Failed("may not read".to_owned()),
        ),
    ] {
        let (aws, bodies) = aws(vec![status(text)]);
        assert_eq!(aws.detection("the-id").await.unwrap(), expected);
        assert!(
            bodies
                .recv()
                .unwrap()
                .contains("StackDriftDetectionId=the-id")
        );
    }
}

#[tokio::test]
async fn what_has_drifted_comes_from_all_pages_with_its_properties() {
    let page = |name: &str, more: &str| {
        let difference = "<member><PropertyPath>/MemorySize</PropertyPath></member>";
        let member = format!(
            "<member><LogicalResourceId>{name}</LogicalResourceId>\
             <ResourceType>AWS::Lambda::Function</ResourceType>\
             <PropertyDifferences>{difference}</PropertyDifferences>\
             <StackResourceDriftStatus>MODIFIED</StackResourceDriftStatus></member>"
        );
        let members = format!("<StackResourceDrifts>{member}</StackResourceDrifts>{more}");
        answer("DescribeStackResourceDrifts", &members)
    };
    let pages = vec![page("One", "<NextToken>more</NextToken>"), page("Two", "")];
    let (aws, bodies) = aws(pages);
    let drifted = aws.drifted("arn:stack").await.unwrap();
    let names: Vec<_> = drifted.iter().map(|it| it.resource.as_str()).collect();
    assert_eq!(names, ["One", "Two"]);
    assert_eq!(drifted[0].properties, ["/MemorySize"]);
    assert!(
        bodies
            .recv()
            .unwrap()
            .contains("StackResourceDriftStatusFilters.member.1=MODIFIED")
    );
    assert!(bodies.recv().unwrap().contains("NextToken=more"));
}

#[tokio::test]
async fn a_stack_that_was_never_changed_is_as_old_as_it_is() {
    let stack = |more: &str| {
        let member = format!(
            "<member><StackName>chat-dev</StackName><StackStatus>CREATE_COMPLETE</StackStatus>\
             <CreationTime>2026-11-22T03:01:00Z</CreationTime>{more}</member>"
        );
        answer("DescribeStacks", &format!("<Stacks>{member}</Stacks>"))
    };
    let changed = "<LastUpdatedTime>2026-11-22T03:01:01Z</LastUpdatedTime><DriftInformation>\
         <StackDriftStatus>IN_SYNC</StackDriftStatus>\
         <LastCheckTimestamp>2026-11-22T03:01:02Z</LastCheckTimestamp></DriftInformation>";
    let (aws, _bodies) = aws(vec![stack(""), stack(changed)]);
    let new = aws.history("arn:stack").await.unwrap();
    assert_eq!(new.changed_s, Some(1_795_316_460));
    assert_eq!((new.drift.as_str(), new.checked_s), ("NOT_CHECKED", None));
    let old = aws.history("arn:stack").await.unwrap();
    assert_eq!(old.changed_s, Some(1_795_316_461));
    assert_eq!(
        (old.drift.as_str(), old.checked_s),
        ("IN_SYNC", Some(1_795_316_462))
    );
}
