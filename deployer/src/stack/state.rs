//! What to do about a stack in each of its states: a table, without any effect.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>

use std::fmt;

/// A stack's status, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status(String);

/// What `deploy` does about a stack that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDeploy {
    /// Make it: there is none.
    Create,
    /// Update it.
    Update,
    /// Go on with an update that failed and was left so, or undo it.
    Resume,
    /// Wait for what goes on, then look again.
    Wait,
    /// Make it: a first change set was never executed, and a new one takes its place.
    StartOver,
    /// Tell why it failed, delete it and look again: it never came up.
    DeleteFailed,
    /// Let the rollback go on, then look again.
    ContinueRollback,
    /// Leave it alone: nobody knows what it is.
    Stop,
}

/// What `destroy` does about a stack that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDestroy {
    /// It is gone.
    Nothing,
    /// Wait for what goes on, then look again.
    Wait,
    /// Empty its buckets and delete it.
    Delete,
}

impl Status {
    /// The status that AWS calls so.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// In AWS's words.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it will change by itself.
    pub(crate) fn is_transient(&self) -> bool {
        self.0.ends_with("_IN_PROGRESS") && self.0 != "REVIEW_IN_PROGRESS"
    }

    /// Whether there is nothing in the stack yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == "REVIEW_IN_PROGRESS"
    }

    /// Whether the stack is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.0 == "DELETE_COMPLETE"
    }

    /// Whether an update failed and was neither finished nor undone.
    pub(crate) fn is_left_failed(&self) -> bool {
        self.0 == "UPDATE_FAILED"
    }

    /// Whether nothing can be made of the stack any more but to delete it.
    pub(crate) fn is_beyond_repair(&self) -> bool {
        on_deploy(Some(self)) == OnDeploy::DeleteFailed
    }

    /// Whether the stack is whole and at rest: as it was asked for, or as it was before that failed.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_good()
            || ["UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"].contains(&self.as_str())
    }

    /// Whether the stack is as it was asked for.
    pub(crate) fn is_good(&self) -> bool {
        ["CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"].contains(&self.as_str())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The table's column `deploy`.
pub(crate) fn on_deploy(status: Option<&Status>) -> OnDeploy {
    let Some(status) = status else {
        return OnDeploy::Create;
    };
    match status.as_str() {
        "DELETE_COMPLETE" => OnDeploy::Create,
        "REVIEW_IN_PROGRESS" => OnDeploy::StartOver,
        _ if status.is_transient() => OnDeploy::Wait,
        "UPDATE_FAILED" => OnDeploy::Resume,
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => OnDeploy::Update,
        // DELETE_FAILED: somebody wanted it gone already.
        "CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => {
            OnDeploy::DeleteFailed
        }
        "UPDATE_ROLLBACK_FAILED" => OnDeploy::ContinueRollback,
        _ => OnDeploy::Stop,
    }
}

/// The table's column `destroy`.
pub(crate) fn on_destroy(status: Option<&Status>) -> OnDestroy {
    match status {
        None => OnDestroy::Nothing,
        Some(status) if status.is_gone() => OnDestroy::Nothing,
        Some(status) if status.is_transient() => OnDestroy::Wait,
        Some(_) => OnDestroy::Delete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status of the API, as of `StackStatus` in its reference.
    const TABLE: [(&str, OnDeploy, OnDestroy); 23] = [
        ("CREATE_IN_PROGRESS", OnDeploy::Wait, OnDestroy::Wait),
        ("CREATE_FAILED", OnDeploy::DeleteFailed, OnDestroy::Delete),
        ("CREATE_COMPLETE", OnDeploy::Update, OnDestroy::Delete),
        ("ROLLBACK_IN_PROGRESS", OnDeploy::Wait, OnDestroy::Wait),
        ("ROLLBACK_FAILED", OnDeploy::DeleteFailed, OnDestroy::Delete),
        (
            "ROLLBACK_COMPLETE",
            OnDeploy::DeleteFailed,
            OnDestroy::Delete,
        ),
        ("DELETE_IN_PROGRESS", OnDeploy::Wait, OnDestroy::Wait),
        ("DELETE_FAILED", OnDeploy::DeleteFailed, OnDestroy::Delete),
        ("DELETE_COMPLETE", OnDeploy::Create, OnDestroy::Nothing),
        ("UPDATE_IN_PROGRESS", OnDeploy::Wait, OnDestroy::Wait),
        (
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            OnDeploy::Wait,
            OnDestroy::Wait,
        ),
        ("UPDATE_COMPLETE", OnDeploy::Update, OnDestroy::Delete),
        ("UPDATE_FAILED", OnDeploy::Resume, OnDestroy::Delete),
        (
            "UPDATE_ROLLBACK_IN_PROGRESS",
            OnDeploy::Wait,
            OnDestroy::Wait,
        ),
        (
            "UPDATE_ROLLBACK_FAILED",
            OnDeploy::ContinueRollback,
            OnDestroy::Delete,
        ),
        (
            "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            OnDeploy::Wait,
            OnDestroy::Wait,
        ),
        (
            "UPDATE_ROLLBACK_COMPLETE",
            OnDeploy::Update,
            OnDestroy::Delete,
        ),
        ("REVIEW_IN_PROGRESS", OnDeploy::StartOver, OnDestroy::Delete),
        ("IMPORT_IN_PROGRESS", OnDeploy::Wait, OnDestroy::Wait),
        ("IMPORT_COMPLETE", OnDeploy::Update, OnDestroy::Delete),
        (
            "IMPORT_ROLLBACK_IN_PROGRESS",
            OnDeploy::Wait,
            OnDestroy::Wait,
        ),
        ("IMPORT_ROLLBACK_FAILED", OnDeploy::Stop, OnDestroy::Delete),
        (
            "IMPORT_ROLLBACK_COMPLETE",
            OnDeploy::Update,
            OnDestroy::Delete,
        ),
    ];

    #[test]
    fn every_status_has_its_remedy() {
        for (status, deploy, destroy) in TABLE {
            let status = Status::new(status);
            assert_eq!(on_deploy(Some(&status)), deploy, "{status}");
            assert_eq!(on_destroy(Some(&status)), destroy, "{status}");
        }
    }

    #[test]
    fn no_stack_is_made_by_deploy_and_no_matter_for_destroy() {
        assert_eq!(on_deploy(None), OnDeploy::Create);
        assert_eq!(on_destroy(None), OnDestroy::Nothing);
    }

    #[test]
    fn a_status_that_nobody_knows_yet_is_left_alone_by_deploy() {
        assert_eq!(
            on_deploy(Some(&Status::new("MOON_COMPLETE"))),
            OnDeploy::Stop
        );
        assert_eq!(
            on_deploy(Some(&Status::new("MOON_IN_PROGRESS"))),
            OnDeploy::Wait
        );
    }

    #[test]
    fn a_stack_is_usable_where_all_of_it_is_there_and_nothing_goes_on() {
        let usable: Vec<_> = TABLE
            .into_iter()
            .map(|(status, ..)| status)
            .filter(|status| Status::new(status).is_usable())
            .collect();
        assert_eq!(
            usable,
            [
                "CREATE_COMPLETE",
                "UPDATE_COMPLETE",
                "UPDATE_ROLLBACK_COMPLETE",
                "IMPORT_COMPLETE",
                "IMPORT_ROLLBACK_COMPLETE"
            ]
        );
    }

    #[test]
    fn only_what_is_waited_for_is_transient_and_only_finished_work_is_good() {
        for (status, deploy, _) in TABLE {
            let status = Status::new(status);
            assert_eq!(status.is_transient(), deploy == OnDeploy::Wait, "{status}");
            assert!(!status.is_good() || deploy == OnDeploy::Update, "{status}");
        }
    }
}
