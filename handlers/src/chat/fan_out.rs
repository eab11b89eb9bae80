//! One frame to many. What becomes of one receiver is nobody else's business.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::presence::News;
use super::{CONNECTION_TTL, Chat, Name, Room};
use crate::log;
use crate::ports::{ConnectionId, Delivery, Member, Outbox, PortError, Store};

/// How long after its opening a connection may still be unknown to `@connections`: its record is
/// written during `$connect`, and only when that integration has returned, after 29 s at the longest
/// (API Gateway's quota page, “Integration timeout”), is the connection established. Until then a post
/// to it is answered 410.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(30);

/// Posts under way at once for one message: enough to hide each one's latency, few enough that a
/// Lambda function's file descriptors and memory are never in question.
const POSTS_AT_ONCE: usize = 64;

/// No post is tried again later than this after the first one, for the sender waits. Who was not
/// reached by then asks for what it missed.
pub(super) const RETRY_BUDGET: Duration = Duration::from_secs(2);

/// The wait before each further round of posts to those that could not be reached.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

/// Removing those who were found gone ends after this.
const BURIAL: Duration = Duration::from_secs(1);

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Within the budget.
    Stubborn,
    /// Once.
    Once,
}

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Posts to each of `members`. Those found gone are removed; tells of each that it was.
    ///
    /// Everyone is tried once before anyone is tried again, so those who fail do not stand in the way
    /// of those who do not.
    pub(super) async fn fan_out(
        &self,
        room: &Room,
        members: impl IntoIterator<Item = &Member>,
        frame: &str,
        effort: Effort,
    ) -> Vec<(Room, News)> {
        let started = Instant::now();
        let mut left: Vec<&Member> = members.into_iter().collect();
        let (all, mut last, mut gone) = (left.len(), None, Vec::new());
        let mut pauses = PAUSES.iter();
        loop {
            let round = Round::default();
            futures_util::stream::iter(left)
                .for_each_concurrent(POSTS_AT_ONCE, |member| self.post(member, frame, &round))
                .await;
            gone.extend(round.gone.into_inner());
            let failed = round.failed.into_inner();
            left = failed.iter().map(|(member, _)| *member).collect();
            last = failed
                .into_iter()
                .next_back()
                .map(|(_, error)| error)
                .or(last);
            let Some(pause) = pauses.next() else { break };
            let late = started.elapsed() + *pause > RETRY_BUDGET;
            if left.is_empty() || late || effort == Effort::Once {
                break;
            }
            tokio::time::sleep(*pause).await;
            self.tally.borrow_mut().retried += left.len();
        }
        {
            let mut tally = self.tally.borrow_mut();
            tally.took += started.elapsed();
            tally.gone += gone.len();
            tally.unreached += left.len();
        }
        if let Some(last) = last.filter(|_| !left.is_empty()) {
            let (failed, members) = (left.len(), all);
            log::error(
                "a frame missed some members",
                &Undelivered {
                    failed,
                    members,
                    last,
                },
            );
        }
        self.bury_all(room, gone).await
    }

    async fn post<'a>(&self, member: &'a Member, frame: &str, round: &Round<'a>) {
        match self.outbox.post(&member.connection, frame).await {
            Delivery::Delivered => self.tally.borrow_mut().delivered += 1,
            Delivery::Gone if self.may_be_in_its_handshake(member) => {}
            Delivery::Gone => round.gone.borrow_mut().push(member),
            Delivery::Throttled(error) => {
                self.tally.borrow_mut().throttled += 1;
                round.failed.borrow_mut().push((member, error));
            }
            Delivery::Failed(error) => round.failed.borrow_mut().push((member, error)),
        }
    }

    fn may_be_in_its_handshake(&self, member: &Member) -> bool {
        // Only who has sent a frame has a name, and only who is connected can send one.
        member.name.is_none()
            && member.expires.after(HANDSHAKE) > self.clock.now().after(CONNECTION_TTL)
    }

    /// Removes those who were found gone, many at once, for somebody waits: after a crowd has broken off
    /// there are as many. Whoever is left in the end is found gone by the next frame.
    async fn bury_all(&self, room: &Room, gone: Vec<&Member>) -> Vec<(Room, News)> {
        let (all, mut done, mut left) = (gone.len(), 0, Vec::new());
        let burials = futures_util::stream::iter(gone).map(|member| self.bury(room, member));
        let burying = burials.buffer_unordered(POSTS_AT_ONCE).for_each(|news| {
            done += 1;
            left.extend(news);
            std::future::ready(())
        });
        if tokio::time::timeout(BURIAL, burying).await.is_err() {
            let error = PortError::new("remove all in time", format!("{done} of {all} are"));
            log::error("some who are gone were not removed", &error);
        }
        left
    }

    /// Removes a member whose connection is gone, and whatever that connection held.
    async fn bury(&self, room: &Room, member: &Member) -> Vec<(Room, News)> {
        match self.clear(room, member).await {
            Ok(left) => left,
            Err(error) => {
                log::error("a connection that is gone was not removed", &error);
                Vec::new()
            }
        }
    }

    /// The steps of a removal. Each can be the last one that is done: what is left then is found by
    /// whoever next posts to the member, or wants its name.
    async fn clear(&self, room: &Room, member: &Member) -> Result<Vec<(Room, News)>, PortError> {
        let mut left = Vec::new();
        let record = self.store.drop_connection(&member.connection).await?;
        let elsewhere = record.filter(|it| it.room != *room || it.member != member.id);
        left.extend(self.take_out(room, member).await?);
        if let Some(record) = elsewhere {
            let member = Member {
                id: record.member,
                connection: record.id,
                name: record.name,
                expires: record.expires,
            };
            left.extend(self.take_out(&record.room, &member).await?);
        }
        Ok(left)
    }

    /// Removes a membership and its name, unless another connection has resumed it.
    pub(super) async fn take_out(
        &self,
        room: &Room,
        member: &Member,
    ) -> Result<Option<(Room, News)>, PortError> {
        let connection = &member.connection;
        let removed = self.store.drop_member(room, &member.id, connection).await?;
        let Some(name) = &member.name else {
            return Ok(None);
        };
        self.store.free_name(room, name, connection).await?;
        Ok(removed.then(|| (room.clone(), News::left(name))))
    }

    /// A name whose holder is gone is freed: whether it was.
    pub(super) async fn free_from(
        &self,
        room: &Room,
        name: &Name,
        holder: &ConnectionId,
        member: Member,
    ) -> Result<Option<Vec<(Room, News)>>, PortError> {
        match self.outbox.is_connected(holder).await {
            Ok(true) => Ok(None),
            Ok(false) => {
                let left = self.clear(room, &member).await?;
                // The name may be all that is left, under a member that is there no more.
                self.store.free_name(room, name, holder).await?;
                Ok(Some(left))
            }
            Err(error) => {
                log::error("the holder of a name counts as connected", &error);
                Ok(None)
            }
        }
    }
}

/// What one round of posts came to.
#[derive(Default)]
struct Round<'a> {
    gone: RefCell<Vec<&'a Member>>,
    failed: RefCell<Vec<(&'a Member, PortError)>>,
}

/// For the log: how many did not get a frame.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {members} members were not reached")]
struct Undelivered {
    failed: usize,
    members: usize,
    #[source]
    last: PortError,
}
