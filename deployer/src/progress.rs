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
                let reason = event.reason.as_deref().filter(|_| event.is_failure());
                let reason = reason.map(|it| format!(": {it}")).unwrap_or_default();
                format!(
                    "  {:>5} s  {:<19} {} ({}){reason}",
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
}
