//! Waiting for what a stack is doing, event by event. Pinned to the stack's id: a deleted stack is no
//! longer found by its name, and another one may have taken it.

use std::time::{Duration, Instant};

use super::cause::{self, Cause, STACK};
use super::error::{Failed, Reason};
use super::{Job, StackError, Status, unexplained};
use crate::cloud::{Cloud, CloudError, Order, StackEvent, StackView, Stacks, Subject};
use crate::output::Output;
use crate::progress::Progress;
use crate::wait::Patience;

/// A distribution takes some minutes, at worst more than half an hour.
const LIMIT: Duration = Duration::from_hours(1);

/// How long a stack's status is doubted for which there is no event. Events are there within seconds,
/// and the status of before is not what was asked for.
const DOUBT_LIMIT: Duration = Duration::from_secs(30);

const POLL_FIRST: Duration = Duration::from_millis(250);

const POLL_MOST: Duration = Duration::from_secs(4);

/// A stack under observation.
pub(super) struct Watch<'a, C> {
    cloud: &'a C,
    stack_id: String,
    name: &'a str,
    since: Instant,
    /// The last event that was seen.
    seen: Option<String>,
    /// The request that is observed.
    token: Option<String>,
    /// All since the beginning.
    events: Vec<StackEvent>,
    /// Whether what happened before the beginning is looked at as well, and not told.
    looks_back: bool,
}

impl<'a, C: Cloud> Watch<'a, C> {
    /// Begins right before the call that is to be observed: what has happened by now is of no interest.
    pub(super) async fn begin(
        job: &Job<'a, C>,
        stack_id: &str,
        output: &mut Output,
    ) -> Result<Self, CloudError> {
        let events = job.cloud.events(stack_id, None).await?;
        let mut watch = Self::attach(job, stack_id, output);
        watch.seen = events.into_iter().next_back().map(|event| event.id);
        watch.looks_back = false;
        Ok(watch)
    }

    /// Observes what goes on already.
    pub(super) fn attach(job: &Job<'a, C>, stack_id: &str, output: &mut Output) -> Self {
        // From here on AWS may be at it, whatever becomes of this program.
        output.begins(job.name);
        Self {
            cloud: job.cloud,
            stack_id: stack_id.to_owned(),
            name: job.name,
            since: Instant::now(),
            seen: None,
            token: None,
            events: Vec::new(),
            looks_back: true,
        }
    }

    /// The request that was made.
    pub(super) fn of(mut self, order: &Order<'_>) -> Self {
        self.token = Some(order.token.clone());
        self
    }

    /// Waits until the stack is as it was asked for.
    pub(super) async fn until_good(mut self, output: &mut Output) -> Result<StackView, StackError> {
        match self.settled(output).await? {
            Some(stack) if stack.status.is_good() => Ok(stack),
            other => Err(self.failure(other.map(|it| it.status)).await?),
        }
    }

    /// Waits until the stack is gone.
    pub(super) async fn until_gone(mut self, output: &mut Output) -> Result<(), StackError> {
        match self.settled(output).await? {
            Some(stack) if !stack.status.is_gone() => Err(self.failure(Some(stack.status)).await?),
            _ => Ok(()),
        }
    }

    /// Waits until the stack stays as it is, good or bad.
    pub(super) async fn until_settled(mut self, output: &mut Output) -> Result<(), StackError> {
        self.settled(output).await.map(drop)
    }

    async fn settled(&mut self, output: &mut Output) -> Result<Option<StackView>, StackError> {
        let mut patience = Patience::new(LIMIT, POLL_FIRST, POLL_MOST);
        let (mut status, mut last) = ("an unknown state".to_owned(), None);
        let mut doubted_since = None;
        loop {
            match self.look().await {
                Ok((stack, news)) => {
                    if !news.is_empty() {
                        patience.hasten();
                    }
                    self.report(news, output)?;
                    let Some(stack) = stack else {
                        output.ends();
                        return Ok(None);
                    };
                    if stack.status.is_transient() {
                        doubted_since = None;
                    } else {
                        let doubted_since = *doubted_since.get_or_insert_with(Instant::now);
                        if self.is_told(&stack.status) || doubted_since.elapsed() > DOUBT_LIMIT {
                            output.ends();
                            return Ok(Some(stack));
                        }
                    }
                    status = stack.status.to_string();
                }
                // A lost connection is no lost deploy.
                Err(error) if error.is_passing() => last = Some(Box::new(error)),
                Err(error) => return Err(error.into()),
            }
            if !output.during(patience.pause()).await {
                return Err(StackError::Deadline {
                    stack: self.name.to_owned(),
                    status,
                    limit: LIMIT,
                    last,
                });
            }
        }
    }

    /// Whether the last that the stack itself has told is that it got there. Until then its status may
    /// be the one of before.
    fn is_told(&self, status: &Status) -> bool {
        let own = |event: &&StackEvent| event.kind == STACK && event.resource == self.name;
        let last = self.events.iter().rfind(own);
        status.is_gone() || last.is_some_and(|it| it.status == status.as_str())
    }

    async fn look(&self) -> Result<(Option<StackView>, Vec<StackEvent>), CloudError> {
        let stack = self.cloud.find(&self.stack_id).await?;
        if stack.is_none() {
            return Ok((None, Vec::new()));
        }
        let news = self.cloud.events(&self.stack_id, self.seen.as_deref());
        Ok((stack, news.await?))
    }

    fn report(&mut self, news: Vec<StackEvent>, output: &mut Output) -> Result<(), StackError> {
        if let Some(last) = news.last() {
            self.seen = Some(last.id.clone());
        }
        // Of what goes on already, the last operation is told alone.
        let is_past = std::mem::take(&mut self.looks_back);
        let told = if is_past {
            cause::last_operation(&news)
        } else {
            &news
        };
        for event in told {
            output.progress(&Progress::Resource {
                event,
                elapsed: self.since.elapsed(),
            })?;
        }
        self.events.extend(news);
        Ok(())
    }

    async fn failure(&self, status: Option<Status>) -> Result<StackError, CloudError> {
        let status = status.unwrap_or_else(|| Status::new("DELETE_COMPLETE"));
        let token = self.token.as_deref();
        let cause = cause_of(self.cloud, &self.stack_id, token, &self.events).await?;
        Ok(explained(cause, self.name, status))
    }
}

/// Why a stack is in the bad state that it is in, after a request if one was made.
pub(super) async fn failed(
    cloud: &impl Stacks,
    stack: &StackView,
    name: &str,
    token: Option<&str>,
) -> Result<StackError, CloudError> {
    let cause = cause_of(cloud, &stack.id, token, &[]).await?;
    Ok(explained(cause, name, stack.status.clone()))
}

/// What a stack failed at: what AWS calls a failure, else the first failure among the `events`, or among
/// all of them where none were seen.
pub(super) async fn cause_of(
    cloud: &impl Stacks,
    stack_id: &str,
    token: Option<&str>,
    events: &[StackEvent],
) -> Result<Option<Cause>, CloudError> {
    // Who may not call it, or whose AWS has no such call, has the events.
    let failures = cloud.failures(Subject::Stack(stack_id)).await;
    if let Some(cause) = cause::root_failure(&failures.unwrap_or_default(), token) {
        return Ok(Some(cause));
    }
    if events.is_empty() {
        return Ok(cause::root_event(&cloud.events(stack_id, None).await?));
    }
    Ok(cause::root_event(events))
}

/// A stack's failure, by what led to it.
fn explained(cause: Option<Cause>, name: &str, status: Status) -> StackError {
    match cause {
        Some(cause) => StackError::from(Box::new(Failed {
            stack: name.to_owned(),
            status,
            resource: cause.resource,
            kind: cause.kind,
            reason: Reason::new(&cause.reason),
        })),
        None => unexplained(name, Some(status)),
    }
}
