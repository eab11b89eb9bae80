//! Waiting for what a stack is doing, event by event. Pinned to the stack's id: a deleted stack is no
//! longer found by its name, and another one may have taken it.

use std::time::{Duration, Instant};

use super::{StackError, explained};
use crate::cloud::{Cloud, CloudError, StackEvent, StackView};
use crate::output::Output;
use crate::progress::Progress;
use crate::stack::Status;
use crate::wait::Patience;

/// A distribution takes some minutes, at worst more than half an hour.
const LIMIT: Duration = Duration::from_hours(1);

/// By then what was asked for has begun, whether or not it was seen.
const BEGIN_LIMIT: Duration = Duration::from_secs(30);

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
    /// All since the beginning.
    events: Vec<StackEvent>,
    /// Whether anything was seen to happen.
    has_begun: bool,
}

impl<'a, C: Cloud> Watch<'a, C> {
    /// Begins before the call that is to be observed: what has happened by now is of no interest.
    pub(super) async fn begin(
        cloud: &'a C,
        stack_id: &str,
        name: &'a str,
    ) -> Result<Self, CloudError> {
        let events = cloud.events(stack_id, None).await?;
        Ok(Self {
            cloud,
            stack_id: stack_id.to_owned(),
            name,
            since: Instant::now(),
            seen: events.into_iter().next_back().map(|event| event.id),
            events: Vec::new(),
            has_begun: false,
        })
    }

    /// Nothing more is asked for: what goes on already is waited for.
    pub(super) fn attached(mut self) -> Self {
        self.has_begun = true;
        self
    }

    /// Waits until the stack is as it was asked for.
    pub(super) async fn until_good(mut self, output: &mut Output) -> Result<StackView, StackError> {
        match self.settled(output).await? {
            Some(stack) if stack.status.is_good() => Ok(stack),
            other => Err(self.failure(other.map(|it| it.status))),
        }
    }

    /// Waits until the stack is gone.
    pub(super) async fn until_gone(mut self, output: &mut Output) -> Result<(), StackError> {
        match self.settled(output).await? {
            Some(stack) if !stack.status.is_gone() => Err(self.failure(Some(stack.status))),
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
        loop {
            // What was asked for shows in the stack's status only a moment later, so a state counts
            // as its outcome only once something was seen to happen before.
            let has_begun = self.has_begun || self.since.elapsed() > BEGIN_LIMIT;
            match self.look().await {
                Ok((stack, news)) => {
                    self.has_begun |= !news.is_empty();
                    if !news.is_empty() {
                        patience.hasten();
                    }
                    self.report(news, output)?;
                    let Some(stack) = stack else { return Ok(None) };
                    if !stack.status.is_transient() && (has_begun || stack.status.is_gone()) {
                        return Ok(Some(stack));
                    }
                    status = stack.status.to_string();
                    self.has_begun |= stack.status.is_transient();
                }
                // A lost connection is no lost deploy.
                Err(error @ (CloudError::Unreachable { .. } | CloudError::Throttled { .. })) => {
                    last = Some(Box::new(error));
                }
                Err(error) => return Err(error.into()),
            }
            if !patience.pause().await {
                return Err(StackError::Deadline {
                    stack: self.name.to_owned(),
                    status,
                    limit: LIMIT,
                    last,
                });
            }
        }
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
        for event in &news {
            output.progress(&Progress::Resource {
                event,
                elapsed: self.since.elapsed(),
            })?;
        }
        if let Some(last) = news.last() {
            self.seen = Some(last.id.clone());
        }
        self.events.extend(news);
        Ok(())
    }

    fn failure(&self, status: Option<Status>) -> StackError {
        let status = status.unwrap_or_else(|| Status::new("DELETE_COMPLETE"));
        explained(&self.events, self.name, status)
    }
}
