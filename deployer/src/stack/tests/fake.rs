//! A CloudFormation of one stack and one bucket. `fake-cloudformation.md` says how it behaves.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::cloud::{
    Action, Buckets, Change, CloudError, Distributions, Failure, NewObject, Order, Proposal,
    ProposalView, Sent, StackEvent, StackResource, StackView, Stacks, StoredObject, Subject,
    Wanted,
};
use crate::stack::cause::STACK;
use crate::stack::deletion::BUCKET;
use crate::stack::state::Status;

pub(super) const NAME: &str = "chat-dev";

/// What `DescribeEvents` is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Described {
    Answers,
    Empty,
    Refused,
    Missing,
}

/// What goes wrong with an operation: a resource, its type, and why.
pub(super) type Fault = (&'static str, &'static str, &'static str);

/// One step of an operation: events of resources, and then the stack's own status.
pub(super) struct Step {
    resources: Vec<(Fault, &'static str)>,
    status: Option<(&'static str, &'static str)>,
}

pub(super) struct Fake {
    /// The settings of a test.
    pub(super) changes: Vec<Change>,
    pub(super) owner: Option<&'static str>,
    pub(super) fault: Cell<Option<Fault>>,
    pub(super) early_validation: Option<Fault>,
    pub(super) described: Described,
    pub(super) versions: Cell<usize>,
    /// Whether somebody goes on writing to the bucket.
    pub(super) refills: bool,
    pub(super) was_express: Cell<bool>,
    /// Whether the stack refuses to be deleted.
    pub(super) is_protected: Cell<bool>,
    /// Whether the table outlives the stack.
    pub(super) keeps_table: bool,
    /// Looks that still show the status of before a request.
    pub(super) lag: usize,
    /// Looks at the events that do not show the last one yet.
    pub(super) late_events: Cell<usize>,
    /// What somebody else does right before this call.
    pub(super) rival: Cell<Option<(&'static str, &'static str)>>,
    /// What there is; a test looks at it through the methods.
    pub(super) status: RefCell<Option<&'static str>>,
    pub(super) shown: RefCell<Option<&'static str>>,
    pub(super) lag_left: Cell<usize>,
    pub(super) generation: Cell<usize>,
    pub(super) events: RefCell<Vec<(StackEvent, String)>>,
    pub(super) change_sets: RefCell<Vec<String>>,
    pub(super) steps: RefCell<VecDeque<Step>>,
    pub(super) token: RefCell<String>,
    pub(super) tokens: RefCell<Vec<(&'static str, String)>>,
    pub(super) calls: RefCell<Vec<&'static str>>,
    /// What is in buckets, by their names and keys.
    pub(super) objects: RefCell<BTreeMap<String, Bytes>>,
    pub(super) failures: RefCell<Vec<Refusal>>,
}

/// A call that fails for a while.
pub(super) struct Refusal {
    call: &'static str,
    /// Calls before that.
    after: usize,
    times: usize,
    error: CloudError,
}

pub(super) fn change(action: Action, resource: &str, kind: &str) -> Change {
    Change {
        action,
        resource: resource.to_owned(),
        kind: kind.to_owned(),
    }
}

impl Fake {
    /// With a stack in a state, or none.
    pub(super) fn new(status: Option<&'static str>) -> Self {
        let fake = Self {
            changes: vec![change(Action::Add, "ChatTable", "AWS::DynamoDB::Table")],
            owner: Some("chat"),
            fault: Cell::new(None),
            early_validation: None,
            described: Described::Answers,
            versions: Cell::new(3),
            refills: false,
            was_express: Cell::new(false),
            is_protected: Cell::new(false),
            keeps_table: false,
            lag: 1,
            late_events: Cell::new(0),
            rival: Cell::new(None),
            status: RefCell::new(None),
            shown: RefCell::new(None),
            lag_left: Cell::new(0),
            generation: Cell::new(1),
            events: RefCell::default(),
            change_sets: RefCell::default(),
            steps: RefCell::default(),
            token: RefCell::new("of-somebody-else".to_owned()),
            tokens: RefCell::default(),
            calls: RefCell::default(),
            objects: RefCell::default(),
            failures: RefCell::default(),
        };
        if let Some(status) = status {
            fake.begin_with(status);
        }
        fake
    }

    /// A stack in this state, and what has led to it.
    fn begin_with(&self, status: &'static str) {
        let table: Fault = ("ChatTable", "AWS::DynamoDB::Table", "the failure of before");
        if status.contains("FAILED") || status.contains("ROLLBACK") {
            self.happen((NAME, STACK, "User Initiated"), "UPDATE_IN_PROGRESS");
            self.happen(table, "CREATE_FAILED");
        }
        self.happen((NAME, STACK, ""), status);
        *self.status.borrow_mut() = Some(status);
        *self.shown.borrow_mut() = Some(status);
        // What is in progress comes to its end.
        let end = match status {
            "CREATE_IN_PROGRESS" => Some("CREATE_COMPLETE"),
            "UPDATE_IN_PROGRESS" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => Some("UPDATE_COMPLETE"),
            "DELETE_IN_PROGRESS" => Some("DELETE_COMPLETE"),
            "ROLLBACK_IN_PROGRESS" => Some("ROLLBACK_COMPLETE"),
            "UPDATE_ROLLBACK_IN_PROGRESS" | "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS" => {
                Some("UPDATE_ROLLBACK_COMPLETE")
            }
            _ => None,
        };
        if let Some(end) = end {
            self.step(&[], None);
            self.step(&[], Some((end, "")));
        }
    }

    /// Makes a call fail so many times.
    pub(super) fn fail(&self, call: &'static str, times: usize, code: &str, message: &str) {
        self.fail_later(call, 0, times, code, message);
    }

    /// Makes a call fail so many times, `after` so many that do not.
    pub(super) fn fail_later(
        &self,
        call: &'static str,
        after: usize,
        times: usize,
        code: &str,
        message: &str,
    ) {
        self.failures.borrow_mut().push(Refusal {
            call,
            after,
            times,
            error: CloudError::of_answer(call, code, message),
        });
    }

    pub(super) fn status(&self) -> Option<&'static str> {
        *self.status.borrow()
    }

    /// What was done, in order: what changes something.
    pub(super) fn calls(&self) -> Vec<&'static str> {
        self.calls.borrow().clone()
    }

    pub(super) fn tokens(&self) -> Vec<(&'static str, String)> {
        self.tokens.borrow().clone()
    }

    pub(super) fn change_sets_left(&self) -> usize {
        self.change_sets.borrow().len()
    }

    /// Reads a template as it was sent.
    fn read(&self, wanted: &Wanted, sent: Sent<'_>) -> Result<(), &'static str> {
        match sent {
            Sent::Inside if wanted.template.len() > 51_200 => {
                Err("Member must have length less than or equal to 51200")
            }
            Sent::Inside => Ok(()),
            Sent::As { bucket, key } => {
                let objects = self.objects.borrow();
                let object = objects.get(&format!("{bucket}/{key}"));
                let is_there = object.is_some_and(|it| *it == wanted.template.as_bytes());
                is_there
                    .then_some(())
                    .ok_or("S3 error: The specified key does not exist.")
            }
        }
    }

    fn id(&self) -> String {
        format!(
            "arn:aws:cloudformation:eu-central-1:1:stack/{NAME}/{}",
            self.generation.get()
        )
    }

    fn call(&self, name: &'static str) -> Result<(), CloudError> {
        if let Some((call, does)) = self.rival.get()
            && call == name
        {
            self.rival.set(None);
            *self.token.borrow_mut() = "of-a-rival".to_owned();
            match does {
                "deletes" => {
                    self.change_sets.borrow_mut().clear();
                    self.end("DELETE_COMPLETE", "");
                }
                "executes" => {
                    self.change_sets.borrow_mut().clear();
                    self.operate("CREATE_IN_PROGRESS");
                    self.step(&[], None);
                    self.step(&[], Some(("CREATE_COMPLETE", "")));
                }
                other => panic!("a rival that {other}"),
            }
        }
        let mut failures = self.failures.borrow_mut();
        for refusal in failures.iter_mut().filter(|it| it.call == name) {
            if refusal.after > 0 {
                refusal.after -= 1;
            } else if refusal.times > 0 {
                refusal.times -= 1;
                return Err(refusal.error.clone());
            }
        }
        Ok(())
    }

    /// A call that changes something; `false` if it is the same as one before.
    fn order(&self, call: &'static str, order: &Order<'_>) -> bool {
        let token = &order.token;
        assert!(token.len() <= 128 && token.starts_with(|it: char| it.is_ascii_alphanumeric()));
        assert!(
            token
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || it == '-')
        );
        let known = (call, token.clone());
        if self.tokens.borrow().contains(&known) {
            return false;
        }
        self.tokens.borrow_mut().push(known);
        self.calls.borrow_mut().push(call);
        token.clone_into(&mut self.token.borrow_mut());
        true
    }

    fn refuse(&self, call: &'static str) -> CloudError {
        let status = self.status().unwrap_or("no");
        let message = format!("Stack:{NAME} is in {status} state and can not be updated.");
        CloudError::of_answer(call, "ValidationError", &message)
    }

    fn happen(&self, (resource, kind, reason): Fault, status: &str) {
        let mut events = self.events.borrow_mut();
        let event = StackEvent {
            id: events.len().to_string(),
            resource: resource.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
        };
        events.push((event, self.token.borrow().clone()));
    }

    fn end(&self, status: &'static str, reason: &'static str) {
        self.happen((NAME, STACK, reason), status);
        *self.status.borrow_mut() = Some(status);
    }

    /// Begins an operation; what it does then follows in steps.
    fn operate(&self, status: &'static str) {
        *self.shown.borrow_mut() = self.status();
        self.lag_left.set(self.lag);
        self.steps.borrow_mut().clear();
        self.end(status, "User Initiated");
    }

    fn step(
        &self,
        resources: &[(Fault, &'static str)],
        status: Option<(&'static str, &'static str)>,
    ) {
        self.steps.borrow_mut().push_back(Step {
            resources: resources.to_vec(),
            status,
        });
    }

    fn go_on(&self) {
        let Some(step) = self.steps.borrow_mut().pop_front() else {
            return;
        };
        for (fault, status) in step.resources {
            self.happen(fault, status);
        }
        if let Some((status, reason)) = step.status {
            self.end(status, reason);
        }
    }

    /// The steps of making or changing all.
    fn make(&self, is_new: bool, keeps_failure: bool) {
        let table = ("ChatTable", "AWS::DynamoDB::Table", "");
        let word = |new, old| if is_new { new } else { old };
        self.step(
            &[(table, word("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"))],
            None,
        );
        let Some(fault) = self.fault.get() else {
            let done = word("CREATE_COMPLETE", "UPDATE_COMPLETE");
            if !is_new {
                self.step(
                    &[(table, done)],
                    Some(("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "")),
                );
            }
            self.step(&[], Some((done, "")));
            return;
        };
        let failed = word("CREATE_FAILED", "UPDATE_FAILED");
        let cancelled = ("Role", "AWS::IAM::Role", "Resource creation cancelled");
        self.step(&[(cancelled, failed), (fault, failed)], None);
        if keeps_failure {
            self.step(&[], Some((failed, "The following resource(s) failed: [x]")));
            return;
        }
        let begins = word("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS");
        let reason = "The following resource(s) failed. Rollback requested by user.";
        self.step(&[], Some((begins, reason)));
        self.step(
            &[],
            Some((word("ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"), "")),
        );
    }
}

impl Stacks for Fake {
    async fn find(&self, stack: &str) -> Result<Option<StackView>, CloudError> {
        self.call("cloudformation:DescribeStacks")?;
        let is_id = stack == self.id();
        let status = if self.lag_left.get() > 0 {
            self.lag_left.set(self.lag_left.get() - 1);
            *self.shown.borrow()
        } else {
            let status = self.status();
            self.go_on();
            status
        };
        let status = status.filter(|it| is_id || *it != "DELETE_COMPLETE");
        let view = status.map(|status| StackView {
            id: self.id(),
            status: Status::new(status),
            outputs: Vec::new(),
            parameters: self
                .keeps_table
                .then(|| ("Protect".to_owned(), "on".to_owned()))
                .into_iter()
                .collect(),
            tags: Vec::new(),
            owner: self.owner.map(str::to_owned),
            is_protected: self.is_protected.get(),
            changed: None,
        });
        Ok(view.filter(|_| is_id || stack == NAME))
    }

    async fn propose(
        &self,
        wanted: &Wanted,
        sent: Sent<'_>,
        is_new: bool,
        order: &Order<'_>,
    ) -> Result<Proposal, CloudError> {
        const CALL: &str = "cloudformation:CreateChangeSet";
        self.call(CALL)?;
        self.read(wanted, sent)
            .map_err(|message| CloudError::of_answer(CALL, "ValidationError", message))?;
        match (self.status(), is_new) {
            (None | Some("DELETE_COMPLETE"), true) => {
                self.generation.set(self.generation.get() + 1);
                self.events.borrow_mut().clear();
                self.end("REVIEW_IN_PROGRESS", "User Initiated");
            }
            (Some("REVIEW_IN_PROGRESS"), true) | (Some("UPDATE_FAILED"), false) => {}
            (_, true) => {
                let message = format!("Stack [{NAME}] already exists");
                return Err(CloudError::of_answer(
                    CALL,
                    "AlreadyExistsException",
                    &message,
                ));
            }
            (Some(status), false)
                if !status.starts_with("ROLLBACK")
                    && !status.starts_with("DELETE")
                    && status.ends_with("_COMPLETE") => {}
            (_, false) => return Err(self.refuse(CALL)),
        }
        self.change_sets.borrow_mut().push(order.token.clone());
        Ok(Proposal {
            id: order.token.clone(),
            stack_id: self.id(),
        })
    }

    async fn proposal(&self, proposal: &Proposal) -> Result<ProposalView, CloudError> {
        const CALL: &str = "cloudformation:DescribeChangeSet";
        self.call(CALL)?;
        if !self.change_sets.borrow().contains(&proposal.id) {
            return Err(CloudError::of_answer(
                CALL,
                "ChangeSetNotFound",
                "not there",
            ));
        }
        if self.early_validation.is_some() {
            let reason = "The following hook(s)/validation failed: \
                          [AWS::EarlyValidation::ResourceExistenceCheck]. To troubleshoot Early \
                          Validation errors, use the DescribeEvents API for detailed failure information.";
            return Ok(ProposalView::Failed(reason.to_owned()));
        }
        Ok(if self.changes.is_empty() {
            ProposalView::Failed("The submitted information didn't contain changes.".to_owned())
        } else {
            ProposalView::Ready(self.changes.clone())
        })
    }

    async fn execute(&self, proposal: &Proposal, order: &Order<'_>) -> Result<(), CloudError> {
        const CALL: &str = "cloudformation:ExecuteChangeSet";
        self.call(CALL)?;
        if self
            .tokens
            .borrow()
            .contains(&("execute", order.token.clone()))
        {
            return Ok(());
        }
        if !self.change_sets.borrow().contains(&proposal.id) {
            return Err(CloudError::of_answer(
                CALL,
                "ChangeSetNotFound",
                "not there",
            ));
        }
        if self.status() == Some("UPDATE_FAILED") && !order.keeps_failure {
            let message = "This stack is currently in a non-terminal [UPDATE_FAILED] state. To update \
                           the stack from this state, please use the disable-rollback parameter with \
                           update-stack API. To rollback to the last known good state, use the \
                           rollback-stack API";
            return Err(CloudError::of_answer(CALL, "ValidationError", message));
        }
        self.change_sets.borrow_mut().clear();
        self.order("execute", order);
        self.was_express.set(order.terms.is_express);
        let is_new = self.status() == Some("REVIEW_IN_PROGRESS");
        if order.keeps_failure && self.changes.iter().any(|it| it.action == Action::Replace) {
            let reason = "Replacement type updates not supported on stack with disable-rollback.";
            self.fault
                .set(Some(("ChatTable", "AWS::DynamoDB::Table", reason)));
        }
        self.operate(if is_new {
            "CREATE_IN_PROGRESS"
        } else {
            "UPDATE_IN_PROGRESS"
        });
        self.make(is_new, order.keeps_failure);
        Ok(())
    }

    async fn discard(&self, proposal: &Proposal) -> Result<(), CloudError> {
        self.call("cloudformation:DeleteChangeSet")?;
        self.calls.borrow_mut().push("discard");
        self.change_sets
            .borrow_mut()
            .retain(|it| *it != proposal.id);
        Ok(())
    }

    async fn delete(&self, stack: &str, order: &Order<'_>) -> Result<(), CloudError> {
        self.call("cloudformation:DeleteStack")?;
        assert_eq!(stack, self.id(), "by its id, and no other of its name");
        if self.is_protected.get() {
            let message =
                format!("Stack [{NAME}] cannot be deleted while TerminationProtection is enabled");
            return Err(CloudError::of_answer(
                "cloudformation:DeleteStack",
                "ValidationError",
                &message,
            ));
        }
        if !self.order("delete", order) {
            return Ok(());
        }
        self.change_sets.borrow_mut().clear();
        let is_empty = self.status() == Some("REVIEW_IN_PROGRESS");
        self.operate("DELETE_IN_PROGRESS");
        if self.versions.get() > 0 && !is_empty {
            let reason =
                "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)";
            self.step(&[(("SiteBucket", BUCKET, reason), "DELETE_FAILED")], None);
            let reason = "The following resource(s) failed to delete: [SiteBucket].";
            self.step(&[], Some(("DELETE_FAILED", reason)));
        } else {
            self.step(&[], Some(("DELETE_COMPLETE", "")));
        }
        Ok(())
    }

    async fn protect(&self, stack: &str, is_protected: bool) -> Result<(), CloudError> {
        const CALL: &str = "cloudformation:UpdateTerminationProtection";
        self.call(CALL)?;
        assert_eq!(stack, self.id(), "by its id, and no other of its name");
        if self.status() == Some("DELETE_IN_PROGRESS") {
            return Err(self.refuse(CALL));
        }
        self.calls.borrow_mut().push(if is_protected {
            "protect"
        } else {
            "lift protection"
        });
        self.is_protected.set(is_protected);
        Ok(())
    }

    async fn continue_rollback(&self, _: &str, order: &Order<'_>) -> Result<(), CloudError> {
        const CALL: &str = "cloudformation:ContinueUpdateRollback";
        self.call(CALL)?;
        if self.status() != Some("UPDATE_ROLLBACK_FAILED") {
            return Err(self.refuse(CALL));
        }
        self.order("continue", order);
        self.operate("UPDATE_ROLLBACK_IN_PROGRESS");
        if let Some(fault) = self.fault.get() {
            self.step(&[(fault, "UPDATE_FAILED")], None);
            self.step(&[], Some(("UPDATE_ROLLBACK_FAILED", "")));
        } else {
            self.step(&[], Some(("UPDATE_ROLLBACK_COMPLETE", "")));
        }
        Ok(())
    }

    async fn roll_back(&self, _: &str, order: &Order<'_>) -> Result<(), CloudError> {
        const CALL: &str = "cloudformation:RollbackStack";
        self.call(CALL)?;
        if self.status() != Some("UPDATE_FAILED") {
            return Err(self.refuse(CALL));
        }
        if self.was_express.get() {
            let message = "RollbackStack is not supported for stacks updated in EXPRESS mode";
            return Err(CloudError::of_answer(CALL, "ValidationError", message));
        }
        self.order("roll back", order);
        self.operate("UPDATE_ROLLBACK_IN_PROGRESS");
        self.step(&[], Some(("UPDATE_ROLLBACK_COMPLETE", "")));
        Ok(())
    }

    async fn failures(&self, subject: Subject<'_>) -> Result<Vec<Failure>, CloudError> {
        const CALL: &str = "cloudformation:DescribeEvents";
        self.call(CALL)?;
        match self.described {
            Described::Answers => {}
            Described::Empty => return Ok(Vec::new()),
            Described::Refused => {
                let message = "User: arn:aws:iam::1:user/ann is not authorized to perform: \
                               cloudformation:DescribeEvents";
                return Err(CloudError::of_answer(CALL, "AccessDenied", message));
            }
            Described::Missing => {
                return Err(CloudError::of_answer(
                    CALL,
                    "InvalidAction",
                    "no such action",
                ));
            }
        }
        let failure = |token: &str, fault: Fault| Failure {
            operation: format!("of {token}"),
            is_rollback: false,
            token: Some(token.to_owned()),
            resource: fault.0.to_owned(),
            kind: fault.1.to_owned(),
            reason: fault.2.to_owned(),
        };
        if let Subject::Proposal(proposal) = subject {
            let is_there = self.change_sets.borrow().contains(&proposal.id);
            let found = self.early_validation.filter(|_| is_there);
            return Ok(found
                .map(|it| failure(&proposal.id, it))
                .into_iter()
                .collect());
        }
        let events = self.events.borrow();
        let failed = events
            .iter()
            .filter(|(it, _)| it.status.ends_with("_FAILED"));
        let failed = failed.filter_map(|(event, token)| {
            Some(Failure {
                operation: format!("of {token}"),
                is_rollback: false,
                token: Some(token.clone()),
                resource: event.resource.clone(),
                kind: event.kind.clone(),
                reason: event.reason.clone()?,
            })
        });
        Ok(failed.collect())
    }

    async fn events(
        &self,
        stack: &str,
        after: Option<&str>,
    ) -> Result<Vec<StackEvent>, CloudError> {
        self.call("cloudformation:DescribeStackEvents")?;
        assert_eq!(stack, self.id(), "by its id, and no other of its name");
        let events = self.events.borrow();
        let seen = events
            .iter()
            .position(|(it, _)| Some(it.id.as_str()) == after);
        let mut news: Vec<_> = events[seen.map_or(0, |it| it + 1)..]
            .iter()
            .map(|(it, _)| it.clone())
            .collect();
        if self.late_events.get() > 0 && self.steps.borrow().is_empty() {
            self.late_events.set(self.late_events.get() - 1);
            news.pop();
        }
        Ok(news)
    }

    async fn resources(&self, _: &str) -> Result<Vec<StackResource>, CloudError> {
        self.call("cloudformation:ListStackResources")?;
        Ok(vec![StackResource {
            resource: "SiteBucket".to_owned(),
            kind: BUCKET.to_owned(),
            physical_id: Some("bucket".to_owned()),
        }])
    }

    async fn names(&self, _: &str, _: &str) -> Result<Vec<String>, CloudError> {
        Ok(Vec::new())
    }
}

impl Buckets for Fake {
    async fn objects(&self, _: &str, _: &str) -> Result<Vec<StoredObject>, CloudError> {
        Ok(Vec::new())
    }

    async fn put(&self, bucket: &str, object: NewObject) -> Result<(), CloudError> {
        self.call("s3:PutObject")?;
        self.calls.borrow_mut().push("put");
        let name = format!("{bucket}/{}", object.key);
        self.objects.borrow_mut().insert(name, object.body);
        Ok(())
    }

    async fn remove(&self, bucket: &str, keys: &[String]) -> Result<(), CloudError> {
        self.call("s3:DeleteObject")?;
        self.calls.borrow_mut().push("remove");
        let names: Vec<_> = keys.iter().map(|key| format!("{bucket}/{key}")).collect();
        self.objects
            .borrow_mut()
            .retain(|name, _| !names.contains(name));
        Ok(())
    }

    async fn empty(&self, _: &str) -> Result<usize, CloudError> {
        self.call("s3:DeleteObject")?;
        self.calls.borrow_mut().push("empty");
        Ok(self.versions.replace(usize::from(self.refills)))
    }
}

impl Distributions for Fake {
    async fn invalidate(&self, _: &str) -> Result<String, CloudError> {
        Ok(String::new())
    }

    async fn is_invalidated(&self, _: &str, _: &str) -> Result<bool, CloudError> {
        Ok(true)
    }

    async fn is_deployed(&self, _: &str) -> Result<bool, CloudError> {
        Ok(true)
    }
}
