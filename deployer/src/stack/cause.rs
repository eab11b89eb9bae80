//! Why a stack failed: the one thing that set off all the others, and what to do about it. Pure.

use crate::cloud::{Failure, StackEvent, denied_action};

/// The type of the stack itself among its resources.
pub(crate) const STACK: &str = "AWS::CloudFormation::Stack";

/// A resource and what it failed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Its name in the template, or the stack's.
    pub(crate) resource: String,
    /// Its type.
    pub(crate) kind: String,
    /// In AWS's words.
    pub(crate) reason: String,
}

/// The root of what AWS itself calls failures, the oldest first. With the `token` of a request only its
/// own count, for others are of an earlier one; else those of the last operation that did more than
/// undo another.
pub(crate) fn root_failure(failures: &[Failure], token: Option<&str>) -> Option<Cause> {
    let last = || {
        let done = failures.iter().rfind(|it| !it.is_rollback);
        done.or(failures.last()).map(|it| it.operation.as_str())
    };
    let operation = if token.is_none() { last() } else { None };
    let counts = |it: &&Failure| match token {
        Some(_) => it.token.as_deref() == token,
        None => Some(it.operation.as_str()) == operation,
    };
    let causes = || {
        failures
            .iter()
            .filter(counts)
            .filter(|it| !is_consequence(&it.reason))
    };
    let root = causes().find(|it| it.kind != STACK);
    root.or_else(|| causes().next()).map(|it| Cause {
        resource: it.resource.clone(),
        kind: it.kind.clone(),
        reason: it.reason.clone(),
    })
}

/// The failure that came first, leaving out resources that were only stopped because of it. The
/// stack's own failure counts where no resource has one. `events` are the oldest first.
pub(crate) fn root_event(events: &[StackEvent]) -> Option<Cause> {
    let failures = || last_operation(events).iter().filter(|it| is_cause(it));
    let root = failures().find(|event| event.kind != STACK);
    root.or_else(|| failures().next()).map(|event| Cause {
        resource: event.resource.clone(),
        kind: event.kind.clone(),
        reason: event.reason.clone().unwrap_or_else(|| event.status.clone()),
    })
}

/// A failure that began a rollback was followed by events of its own: all since the user's call. The
/// undoing of a failed update is a call of the user's, too, and not what failed.
pub(crate) fn last_operation(events: &[StackEvent]) -> &[StackEvent] {
    let start = events.iter().rposition(StackEvent::begins_operation);
    let start = start.unwrap_or_default();
    &events[start..]
}

fn is_cause(event: &StackEvent) -> bool {
    let reason = event.reason.as_deref().unwrap_or_default();
    // A stack that begins to roll back tells why, and does not call that a failure.
    let rolls_back = event.kind == STACK
        && event.status.contains("ROLLBACK_IN_PROGRESS")
        && !["", "User Initiated"].contains(&reason);
    (event.status.ends_with("_FAILED") || rolls_back) && !is_consequence(reason)
}

/// Whether something failed only because something else did.
fn is_consequence(reason: &str) -> bool {
    reason.to_lowercase().contains("cancelled")
}

/// What the user can do about a failure that AWS explains so.
pub(crate) fn hint(reason: &str) -> String {
    if let Some(action) = denied_action(reason).filter(|it| *it != "s3:PutBucketPolicy") {
        return format!(
            "ask whoever manages the account for the permission `{action}`, then run the same command \
             again"
        );
    }
    general_hint(&reason.to_lowercase()).to_owned()
}

fn general_hint(reason: &str) -> &'static str {
    let says = |phrases: &[&str]| phrases.iter().any(|it| reason.contains(it));
    if says(&["cnamealreadyexists", "cnames you provided"]) {
        "another distribution answers at that domain, or a DNS record leads it to one: take the domain \
         from that one first, or deploy without `--domain`"
    } else if says(&[
        "invalidviewercertificate",
        "specified ssl certificate",
        "viewer certificate",
    ]) {
        "the certificate of `--certificate-arn` has to be issued, trusted and for the name of \
         `--domain` (`aws acm describe-certificate --region us-east-1` tells)"
    } else if says(&["cloudwatch logs role arn"]) {
        "API Gateway has no role to write access logs as, which an account needs once in a Region: \
         `chatctl synth --access-logs-role > role.yaml`, then `aws cloudformation deploy \
         --template-file role.yaml --stack-name chatctl-access-logs --capabilities CAPABILITY_IAM`, \
         then run the same command again; or deploy with `--access-logs off`"
    } else if says(&["blockpublicpolicy", "block public access"]) {
        "the account, or its organization, blocks public buckets (S3, `Block Public Access settings \
         for this account`), and `--cdn off` needs one: deploy with `--cdn on`, or have that block \
         lifted"
    } else if says(&["putbucketpolicy"]) {
        // Often AWS says no more than that, whatever the reason is.
        "ask whoever manages the account to allow `s3:PutBucketPolicy`, and with `--cdn off` also \
         whether it blocks public buckets (S3, `Block Public Access settings for this account`); \
         then run the same command again"
    } else if says(&["account must be verified", "your account must be"]) {
        "AWS has to verify the account before it may make CloudFront distributions: ask AWS \
         Support, and deploy with `--cdn off` until then"
    } else if says(&["not authorized", "access denied", "accessdenied"]) {
        "ask whoever manages the account for the permission, then run the same command again"
    } else if says(&["unreservedconcurrentexecution", "concurrentexecutions"]) {
        "a new account may run ten functions at once: ask for more under Service Quotas, Lambda, \
         `Concurrent executions`"
    } else if says(&["limit", "quota", "too many"]) {
        "delete what is not needed any more, or ask for more under Service Quotas, then run the \
         same command again"
    } else if says(&["already exists", "already owned", "name is not available"]) {
        "something else has that name: delete it, or take another `--stage`"
    } else if says(&["not empty", "bucketnotempty"]) {
        "run the same command again: the bucket is emptied first"
    } else if says(&[
        "template",
        "unresolved",
        "invalid value",
        "unsupported property",
    ]) {
        "correct `cloudformation/` and run the same command again"
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
        assert_eq!(root_event(&events).unwrap().resource, "Table");
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
        let cause = root_event(&events).unwrap();
        assert_eq!(cause.reason, "bucket already exists");
        assert_eq!(root_event(&events[..1]), None);
    }

    fn failure(operation: &str, token: Option<&str>, resource: &str, reason: &str) -> Failure {
        Failure {
            operation: operation.to_owned(),
            is_rollback: operation.starts_with("undo"),
            token: token.map(str::to_owned),
            resource: resource.to_owned(),
            kind: "AWS::IAM::Role".to_owned(),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn only_failures_of_the_request_that_was_made_explain_it() {
        let failures = [
            failure("1", Some("earlier"), "Old", "of an earlier request"),
            failure("2", Some("ours"), "Role", "Resource creation cancelled"),
            failure("2", Some("ours"), "Table", "the real one"),
            failure("2", Some("ours"), "Api", "a later one"),
        ];
        let root = |token| root_failure(&failures, token).map(|it| it.resource);
        assert_eq!(root(Some("ours")).as_deref(), Some("Table"));
        assert_eq!(root(Some("another")), None);
        assert_eq!(root_failure(&failures[..2], Some("ours")), None);
    }

    #[test]
    fn whoever_made_no_request_is_told_of_the_last_operation_that_was_not_the_undoing_of_one() {
        let failures = [
            failure("1", None, "Old", "of an earlier operation"),
            failure("2", None, "Table", "the real one"),
            failure("undo 2", None, "Role", "cannot be undone"),
        ];
        let root = |failures| root_failure(failures, None).map(|it| it.resource);
        assert_eq!(root(&failures[..]).as_deref(), Some("Table"));
        assert_eq!(root(&failures[2..]).as_deref(), Some("Role"));
        assert_eq!(root(&[]), None);
    }

    #[test]
    fn the_undoing_that_somebody_asked_for_is_no_cause() {
        let events = [event(
            "chat-dev",
            STACK,
            "UPDATE_ROLLBACK_IN_PROGRESS",
            "User Initiated",
        )];
        assert_eq!(root_event(&events), None);
    }

    #[test]
    fn known_reasons_have_their_own_remedies() {
        for (reason, remedy) in [
            (
                "User: x is not authorized to perform: iam:CreateRole",
                "permission",
            ),
            (
                "User: x is not authorized to perform: s3:PutBucketPolicy on resource: y because \
                 public policies are blocked by the BlockPublicPolicy block public access setting",
                "the account, or its organization, blocks public buckets",
            ),
            (
                "API: s3:PutBucketPolicy Access Denied",
                "also whether it blocks public buckets",
            ),
            (
                "Access denied for operation 'AWS::CloudFront::Distribution: Your account must be \
                 verified before you can add new CloudFront resources",
                "`--cdn off`",
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
            (
                "One or more of the CNAMEs you provided are already associated with a different \
                 resource. (Service: CloudFront, Status Code: 409)",
                "without `--domain`",
            ),
            (
                "Invalid request provided: AWS::CloudFront::Distribution: The specified SSL \
                 certificate doesn't exist, isn't in us-east-1 region, isn't valid, or doesn't \
                 include a valid certificate chain.",
                "`--certificate-arn`",
            ),
            (
                "The certificate that is attached to your distribution doesn't cover the alternate \
                 domain name (CNAME) that you're trying to add. (Error Code: \
                 InvalidViewerCertificate)",
                "`--certificate-arn`",
            ),
            ("The bucket you tried to delete is not empty", "emptied"),
            ("WaitCondition timed out", "run the same command again"),
        ] {
            assert!(hint(reason).contains(remedy), "{reason}: {}", hint(reason));
        }
    }
}
