//! Why a stack failed: the one event that set off all the others, and what to do about it. Pure.

use crate::cloud::StackEvent;

/// The type of the stack itself among its resources.
pub(crate) const STACK: &str = "AWS::CloudFormation::Stack";

/// The failure that came first, leaving out resources that were only stopped because of it. The
/// stack's own failure counts where no resource has one. `events` are the oldest first.
pub(crate) fn root_cause(events: &[StackEvent]) -> Option<&StackEvent> {
    let failures = || {
        last_operation(events)
            .iter()
            .filter(|event| is_cause(event))
    };
    failures()
        .find(|event| event.kind != STACK)
        .or_else(|| failures().next())
}

/// A failure that began a rollback was followed by events of its own: all since the user's call.
fn last_operation(events: &[StackEvent]) -> &[StackEvent] {
    let is_start = |event: &StackEvent| {
        event.kind == STACK
            && event.reason.as_deref() == Some("User Initiated")
            && event.status.ends_with("_IN_PROGRESS")
    };
    let start = events.iter().rposition(is_start).unwrap_or_default();
    &events[start..]
}

fn is_cause(event: &StackEvent) -> bool {
    let reason = event.reason.as_deref().unwrap_or_default().to_lowercase();
    // A stack that begins to roll back tells why, and does not call that a failure.
    let rolls_back =
        event.kind == STACK && event.status.contains("ROLLBACK_IN_PROGRESS") && !reason.is_empty();
    (event.status.ends_with("_FAILED") || rolls_back) && !reason.contains("cancelled")
}

/// What the user can do about a failure that AWS explains so.
pub(crate) fn hint(reason: &str) -> &'static str {
    let reason = reason.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|it| reason.contains(it));
    if says(&["account must be verified", "your account must be"]) {
        "AWS has to verify the account before it may make CloudFront distributions: ask AWS \
         Support, then run the same command again"
    } else if says(&["not authorized", "access denied", "accessdenied"]) {
        "ask whoever manages the account for the permission, then run the same command again"
    } else if says(&["unreservedconcurrentexecution", "concurrentexecutions"]) {
        "a new account may run ten functions at once: ask for more under Service Quotas, Lambda, \
         `Concurrent executions`"
    } else if says(&["limit", "quota", "too many"]) {
        "delete what is not needed any more, or ask for more under Service Quotas, then run the \
         same command again"
    } else if says(&["already exists", "already owned"]) {
        "something else has that name: delete it, or take another `--stage`"
    } else if says(&["not empty", "bucketnotempty"]) {
        "run the same command again: the bucket is emptied first"
    } else {
        "correct that and run the same command again; what is left of the failure is cleared away"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, kind: &str, status: &str, reason: &str) -> StackEvent {
        StackEvent {
            id: String::new(),
            resource: resource.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
        }
    }

    #[test]
    fn the_earliest_failure_that_was_not_cancelled_is_the_cause() {
        let events = [
            event(
                "Old",
                "AWS::S3::Bucket",
                "CREATE_FAILED",
                "of an earlier operation",
            ),
            event("chat-dev", STACK, "CREATE_IN_PROGRESS", "User Initiated"),
            event(
                "Role",
                "AWS::IAM::Role",
                "CREATE_FAILED",
                "Resource creation cancelled",
            ),
            event(
                "Table",
                "AWS::DynamoDB::Table",
                "CREATE_FAILED",
                "the real one",
            ),
            event(
                "Api",
                "AWS::ApiGatewayV2::Api",
                "CREATE_FAILED",
                "a later one",
            ),
            event(
                "chat-dev",
                STACK,
                "ROLLBACK_IN_PROGRESS",
                "The following resource(s) failed",
            ),
        ];
        assert_eq!(root_cause(&events).unwrap().resource, "Table");
    }

    #[test]
    fn the_stacks_own_reason_is_told_where_no_resource_has_one() {
        let events = [
            event("chat-dev", STACK, "CREATE_IN_PROGRESS", "User Initiated"),
            event(
                "chat-dev",
                STACK,
                "ROLLBACK_IN_PROGRESS",
                "bucket already exists",
            ),
        ];
        let cause = root_cause(&events).unwrap();
        assert_eq!(cause.reason.as_deref(), Some("bucket already exists"));
        assert_eq!(root_cause(&events[..1]), None);
    }

    #[test]
    fn known_reasons_have_their_own_remedies() {
        for (reason, remedy) in [
            (
                "User: x is not authorized to perform: iam:CreateRole",
                "permission",
            ),
            (
                "Access denied for operation 'AWS::CloudFront::Distribution: Your account must be \
                 verified before you can add new CloudFront resources",
                "Support",
            ),
            (
                "decreases account's UnreservedConcurrentExecution below",
                "ten functions",
            ),
            (
                "The maximum number of buckets: limit exceeded",
                "Service Quotas",
            ),
            ("chat-dev already exists", "`--stage`"),
            ("The bucket you tried to delete is not empty", "emptied"),
            ("WaitCondition timed out", "run the same command again"),
        ] {
            assert!(hint(reason).contains(remedy), "{reason}: {}", hint(reason));
        }
    }
}
