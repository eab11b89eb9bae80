//! What `apply` and `delete` do from each state, against a stack that behaves as AWS documents:
//! - A change set for a new stack makes a stack in `REVIEW_IN_PROGRESS`; executing it ends in
//!   `CREATE_COMPLETE`, or in `ROLLBACK_COMPLETE` with the events of a failure.
//! - A stack in `ROLLBACK_COMPLETE`, `CREATE_FAILED`, `ROLLBACK_FAILED` or `DELETE_FAILED` takes no
//!   change set, only a deletion.
//! - A change set without changes fails with AWS's sentence.
//! - A bucket that is not empty makes a deletion end in `DELETE_FAILED`.
//! - `ContinueUpdateRollback` is taken in `UPDATE_ROLLBACK_FAILED` alone.

use std::cell::{Cell, RefCell};

use super::*;
use crate::cloud::{Action, Distributions, NewObject, StackEvent, StackResource, StoredObject};
use crate::stack::cause::STACK;

/// A cloud of one stack and its bucket.
struct Fake {
    status: RefCell<Option<&'static str>>,
    events: RefCell<Vec<StackEvent>>,
    calls: RefCell<Vec<&'static str>>,
    versions: Cell<usize>,
    changes: Vec<Change>,
    fails: bool,
    owner: Option<&'static str>,
}

impl Fake {
    fn new(status: Option<&'static str>) -> Self {
        let fake = Self {
            status: RefCell::new(None),
            events: RefCell::default(),
            calls: RefCell::default(),
            versions: Cell::new(3),
            changes: vec![change(Action::Add)],
            fails: false,
            owner: Some("chat"),
        };
        if let Some(status) = status {
            fake.turn(status, None);
        }
        fake
    }

    fn turn(&self, status: &'static str, reason: Option<&str>) {
        self.happen("chat-dev", STACK, status, reason);
        *self.status.borrow_mut() = (status != "DELETE_COMPLETE").then_some(status);
    }

    fn happen(&self, resource: &str, kind: &str, status: &str, reason: Option<&str>) {
        let mut events = self.events.borrow_mut();
        let id = events.len().to_string();
        events.push(StackEvent {
            id,
            resource: resource.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
        });
    }

    fn refuse(call: &'static str) -> CloudError {
        CloudError::of_answer(call, "ValidationError", "not in this state")
    }

    fn calls(&self) -> Vec<&'static str> {
        self.calls.borrow().clone()
    }
}

fn change(action: Action) -> Change {
    Change {
        action,
        resource: "ChatTable".to_owned(),
        kind: "AWS::DynamoDB::Table".to_owned(),
    }
}

impl Stacks for Fake {
    async fn find(&self, _: &str) -> Result<Option<StackView>, CloudError> {
        // What goes on is over when it is looked at the next time.
        let now = *self.status.borrow();
        match now {
            Some("UPDATE_IN_PROGRESS") => self.turn("UPDATE_COMPLETE", None),
            Some("DELETE_IN_PROGRESS") => self.turn("DELETE_COMPLETE", None),
            Some("UPDATE_ROLLBACK_IN_PROGRESS") => self.turn("UPDATE_ROLLBACK_COMPLETE", None),
            _ => {}
        }
        Ok(now.map(|status| StackView {
            id: "id".to_owned(),
            status: Status::new(status),
            outputs: Vec::new(),
            parameters: Vec::new(),
            tags: Vec::new(),
            owner: self.owner.map(str::to_owned),
        }))
    }

    async fn propose(&self, _: &Wanted, is_new: bool) -> Result<Proposal, CloudError> {
        let status = *self.status.borrow();
        match (status, is_new) {
            (None, true) => self.turn("REVIEW_IN_PROGRESS", None),
            (Some(status), false)
                if !status.starts_with("ROLLBACK") && status.contains("COMPLETE") => {}
            _ => return Err(Self::refuse("cloudformation:CreateChangeSet")),
        }
        Ok(Proposal {
            id: "change-set".to_owned(),
            stack_id: "id".to_owned(),
        })
    }

    async fn proposal(&self, _: &Proposal) -> Result<ProposalView, CloudError> {
        Ok(if self.changes.is_empty() {
            ProposalView::Failed("The submitted information didn't contain changes.".to_owned())
        } else {
            ProposalView::Ready(self.changes.clone())
        })
    }

    async fn execute(&self, _: &Proposal) -> Result<(), CloudError> {
        self.calls.borrow_mut().push("execute");
        let is_new = *self.status.borrow() == Some("REVIEW_IN_PROGRESS");
        self.turn("CREATE_IN_PROGRESS", Some("User Initiated"));
        if self.fails {
            let table = ("ChatTable", "AWS::DynamoDB::Table");
            self.happen(table.0, table.1, "CREATE_FAILED", Some("no more tables"));
            self.happen(
                "Role",
                "AWS::IAM::Role",
                "CREATE_FAILED",
                Some("Resource creation cancelled"),
            );
            self.turn("ROLLBACK_COMPLETE", None);
        } else if is_new {
            self.turn("CREATE_COMPLETE", None);
        } else {
            self.turn("UPDATE_COMPLETE", None);
        }
        Ok(())
    }

    async fn discard(&self, _: &Proposal) -> Result<(), CloudError> {
        self.calls.borrow_mut().push("discard");
        Ok(())
    }

    async fn delete(&self, _: &str) -> Result<(), CloudError> {
        self.calls.borrow_mut().push("delete");
        self.turn("DELETE_IN_PROGRESS", Some("User Initiated"));
        if self.versions.get() > 0 {
            let reason = Some("The bucket you tried to delete is not empty");
            self.happen("SiteBucket", BUCKET, "DELETE_FAILED", reason);
            self.turn("DELETE_FAILED", None);
        } else {
            self.turn("DELETE_COMPLETE", None);
        }
        Ok(())
    }

    async fn continue_rollback(&self, _: &str) -> Result<(), CloudError> {
        self.calls.borrow_mut().push("continue");
        if *self.status.borrow() != Some("UPDATE_ROLLBACK_FAILED") {
            return Err(Self::refuse("cloudformation:ContinueUpdateRollback"));
        }
        self.turn("UPDATE_ROLLBACK_IN_PROGRESS", None);
        Ok(())
    }

    async fn events(&self, _: &str, after: Option<&str>) -> Result<Vec<StackEvent>, CloudError> {
        let events = self.events.borrow();
        let seen = events.iter().position(|it| Some(it.id.as_str()) == after);
        Ok(events[seen.map_or(0, |it| it + 1)..].to_vec())
    }

    async fn resources(&self, _: &str) -> Result<Vec<StackResource>, CloudError> {
        Ok(vec![StackResource {
            resource: "SiteBucket".to_owned(),
            kind: BUCKET.to_owned(),
            physical_id: Some("bucket".to_owned()),
        }])
    }

    async fn names(&self, _: &str) -> Result<Vec<String>, CloudError> {
        Ok(Vec::new())
    }
}

impl Buckets for Fake {
    async fn objects(&self, _: &str, _: &str) -> Result<Vec<StoredObject>, CloudError> {
        Ok(Vec::new())
    }

    async fn put(&self, _: &str, _: NewObject) -> Result<(), CloudError> {
        Ok(())
    }

    async fn remove(&self, _: &str, _: &[String]) -> Result<(), CloudError> {
        Ok(())
    }

    async fn empty(&self, _: &str) -> Result<usize, CloudError> {
        self.calls.borrow_mut().push("empty");
        Ok(self.versions.replace(0))
    }
}

impl Distributions for Fake {
    async fn invalidate(&self, _: &str) -> Result<String, CloudError> {
        Ok(String::new())
    }

    async fn is_invalidated(&self, _: &str, _: &str) -> Result<bool, CloudError> {
        Ok(true)
    }
}

async fn applied(fake: &Fake, losses: Losses) -> Result<Applied, StackError> {
    let wanted = Wanted {
        name: "chat-dev".to_owned(),
        template: String::new(),
        parameters: Vec::new(),
        owner: "chat",
        tags: Vec::new(),
    };
    apply(fake, &wanted, losses, &mut Output::to_nobody()).await
}

#[tokio::test]
async fn from_every_state_a_deploy_gets_there_and_a_destroy_gets_rid() {
    const REMADE: &[&str] = &["empty", "delete", "execute"];
    for (status, calls) in [
        (None, &["execute"][..]),
        (Some("REVIEW_IN_PROGRESS"), REMADE),
        (Some("CREATE_FAILED"), REMADE),
        (Some("ROLLBACK_FAILED"), REMADE),
        (Some("ROLLBACK_COMPLETE"), REMADE),
        (Some("DELETE_FAILED"), REMADE),
        (Some("DELETE_IN_PROGRESS"), &["execute"]),
        (Some("UPDATE_IN_PROGRESS"), &["execute"]),
        (Some("UPDATE_ROLLBACK_FAILED"), &["continue", "execute"]),
        (Some("UPDATE_ROLLBACK_COMPLETE"), &["execute"]),
        (Some("CREATE_COMPLETE"), &["execute"]),
    ] {
        let fake = Fake::new(status);
        let outcome = applied(&fake, Losses::Refused).await.unwrap();
        assert!(
            outcome.is_changed && outcome.stack.status.is_good(),
            "{status:?}"
        );
        assert_eq!(fake.calls(), calls, "{status:?}");

        let fake = Fake::new(status);
        delete(&fake, "chat-dev", "chat", &mut Output::to_nobody())
            .await
            .unwrap();
        assert_eq!(*fake.status.borrow(), None, "{status:?}");
        let is_there = ![None, Some("DELETE_IN_PROGRESS")].contains(&status);
        let expected: &[_] = if is_there { &["empty", "delete"] } else { &[] };
        assert_eq!(fake.calls(), expected, "{status:?}");
    }
}

#[tokio::test]
async fn a_stack_that_somebody_else_made_is_left_alone_in_every_state() {
    for owner in [None, Some("artifacts")] {
        for status in [
            "CREATE_COMPLETE",
            "UPDATE_COMPLETE",
            "ROLLBACK_COMPLETE",
            "DELETE_FAILED",
            "UPDATE_ROLLBACK_FAILED",
        ] {
            let fake = Fake {
                owner,
                ..Fake::new(Some(status))
            };
            let error = applied(&fake, Losses::Allowed).await.unwrap_err();
            assert!(error.to_string().contains("was not made by this program"));
            let deleted = delete(&fake, "chat-dev", "chat", &mut Output::to_nobody()).await;
            assert!(
                matches!(deleted, Err(StackError::Foreign { .. })),
                "{status}"
            );
            assert_eq!(fake.calls(), [""; 0], "{status}");
        }
    }
}

#[tokio::test]
async fn nothing_to_change_is_no_failure() {
    let fake = Fake {
        changes: Vec::new(),
        ..Fake::new(Some("UPDATE_COMPLETE"))
    };
    assert!(!applied(&fake, Losses::Refused).await.unwrap().is_changed);
    assert_eq!(fake.calls(), ["discard"]);
}

#[tokio::test]
async fn a_change_that_loses_the_table_is_stopped_unless_it_is_allowed() {
    for action in [Action::Remove, Action::Replace, Action::MayReplace] {
        let fake = Fake {
            changes: vec![change(action)],
            ..Fake::new(Some("CREATE_COMPLETE"))
        };
        let error = applied(&fake, Losses::Refused).await.unwrap_err();
        assert!(error.to_string().contains("`ChatTable`"), "{error}");
        assert!(error.hint().contains("--allow-replacement"));
        assert_eq!(fake.calls(), ["discard"]);
        assert!(applied(&fake, Losses::Allowed).await.unwrap().is_changed);
    }
}

#[tokio::test]
async fn a_failure_tells_its_root_cause_first() {
    let fake = Fake {
        fails: true,
        ..Fake::new(None)
    };
    let error = applied(&fake, Losses::Refused).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`ChatTable` (AWS::DynamoDB::Table) failed: no more tables; the stack `chat-dev` is in \
         ROLLBACK_COMPLETE"
    );
}
