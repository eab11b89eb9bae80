//! What a long command tells on its way, as lines for people and as JSON for programs. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Change, StackEvent};
use crate::stack;

/// One thing that happened or is about to.
#[derive(Debug)]
pub(crate) enum Progress<'a> {
    /// A sentence.
    Step(&'a str),
    /// What will be done to a resource.
    Change(&'a Change),
    /// What was done to a resource.
    Resource {
        /// By AWS's account.
        event: &'a StackEvent,
        /// Since the operation began.
        elapsed: Duration,
    },
}

impl Progress<'_> {
    /// For people.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Step(text) => (*text).to_owned(),
            Self::Change(change) => format!("  {}", stack::line(change)),
            Self::Resource { event, elapsed } => {
                let remark = match event.reason.as_deref().filter(|_| event.is_failure()) {
                    Some(reason) => format!(": {reason}"),
                    None if event.status.ends_with("_IN_PROGRESS") => match expected(&event.kind) {
                        Some(expected) => format!(": {expected}"),
                        None => String::new(),
                    },
                    None => String::new(),
                };
                format!(
                    "  {:>5} s  {:<19} {} ({}){remark}",
                    elapsed.as_secs(),
                    event.status,
                    event.resource,
                    event.kind
                )
            }
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Step(text) => json!({"event": "step", "text": text}),
            Self::Change(change) => json!({
                "event": "change",
                "action": stack::word(change.action),
                "resource": change.resource,
                "type": change.kind,
            }),
            Self::Resource { event, elapsed } => json!({
                "event": "resource",
                "resource": event.resource,
                "type": event.kind,
                "status": event.status,
                "reason": event.reason,
                "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }
}

/// How long a resource takes that takes long.
pub(crate) fn expected(kind: &str) -> Option<&'static str> {
    (kind == "AWS::CloudFront::Distribution").then_some("usually 3 to 5 min")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_resource_is_told_with_its_reason() {
        let event = StackEvent {
            id: "1".to_owned(),
            resource: "ChatTable".to_owned(),
            kind: "AWS::DynamoDB::Table".to_owned(),
            status: "CREATE_FAILED".to_owned(),
            reason: Some("no more tables".to_owned()),
        };
        let progress = Progress::Resource {
            event: &event,
            elapsed: Duration::from_millis(2500),
        };
        assert_eq!(
            progress.line(),
            "      2 s  CREATE_FAILED       ChatTable (AWS::DynamoDB::Table): no more tables"
        );
        assert_eq!(progress.json()["elapsed_ms"], 2500);
    }

    #[test]
    fn what_takes_long_says_how_long_when_it_begins() {
        let mut event = StackEvent {
            id: "1".to_owned(),
            resource: "SiteDistribution".to_owned(),
            kind: "AWS::CloudFront::Distribution".to_owned(),
            status: "CREATE_IN_PROGRESS".to_owned(),
            reason: None,
        };
        let line = |event: &StackEvent| {
            let elapsed = Duration::from_secs(2);
            Progress::Resource { event, elapsed }.line()
        };
        assert_eq!(
            line(&event),
            "      2 s  CREATE_IN_PROGRESS  SiteDistribution (AWS::CloudFront::Distribution): usually \
             3 to 5 min"
        );
        event.status = "CREATE_COMPLETE".to_owned();
        assert!(line(&event).ends_with("Distribution)"), "{}", line(&event));
    }
}
