//! One frame to many. What becomes of one receiver is nobody else's business.
//!
//! Members come page by page, and the first page's are posted to while the next one is read. Of each page
//! this invocation keeps one share for itself; the others it hands over to further invocations (see
//! [`Errand`]), which hand nothing over.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::join3;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::presence::News;
use super::{CONNECTION_TTL, Chat, Errand, Name, Room, Tally};
use crate::log;
use crate::ports::{ConnectionId, Delivery, Frame, Member, Outbox, PortError, Store, Timestamp};

/// How long after its opening a connection may still be unknown to `@connections`: its record is
/// written during `$connect`, and only when that integration has returned, after 29 s at the longest
/// (API Gateway's quota page, “Integration timeout”), is the connection established. Until then a post
/// to it is answered 410.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(30);

/// First posts under way at once: enough to hide each one's latency, few enough that a Lambda function's
/// file descriptors and memory are never in question.
const POSTS_AT_ONCE: usize = 64;

/// Repeated posts under way at once, beside the first ones: those who fail take no place from those who
/// do not.
const REPEATS_AT_ONCE: usize = 16;

/// Shares handed over at once.
const HANDED_AT_ONCE: usize = 16;

/// No receiver is posted to again later than this after its first post, for the sender waits. Who was not
/// reached by then asks for what it missed.
pub(super) const RETRY_BUDGET: Duration = Duration::from_secs(2);

/// The longest wait before each further post to a receiver that could not be reached; at least half of it
/// is waited.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

/// Removing those who were found gone ends after this.
const BURIAL: Duration = Duration::from_secs(1);

/// Removals under way at once.
const BURIALS_AT_ONCE: usize = 64;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Within the budget.
    Stubborn,
    /// Once.
    Once,
}

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Posts to each of the members of all `pages`. Those found gone are removed; tells of each that it
    /// was.
    pub(super) async fn fan_out<M: Borrow<Member>>(
        &self,
        room: &Room,
        pages: impl Stream<Item = Vec<M>>,
        frame: &Frame,
        effort: Effort,
    ) -> Vec<(Room, News)> {
        self.spread(
            room,
            pages,
            Spread::new(frame, effort, self.share, &self.tally),
        )
        .await
    }

    /// Posts a message that was said at a time, as stubbornly as can be.
    pub(super) async fn fan_out_message<M: Borrow<Member>>(
        &self,
        room: &Room,
        pages: impl Stream<Item = Vec<M>>,
        frame: &Frame,
        said: Timestamp,
    ) -> Vec<(Room, News)> {
        let spread = Spread::new(frame, Effort::Stubborn, self.share, &self.tally);
        let said = Some(said);
        self.spread(room, pages, Spread { said, ..spread }).await
    }

    async fn spread<M: Borrow<Member>>(
        &self,
        room: &Room,
        pages: impl Stream<Item = Vec<M>>,
        spread: Spread<'_, M>,
    ) -> Vec<(Room, News)> {
        let started = Instant::now();
        let (own, shares) = unbounded_channel();
        let (failed, stragglers) = unbounded_channel();
        join3(
            self.share_out(room, pages, &spread, own),
            self.post_all(shares, &spread, failed),
            self.post_again(stragglers, &spread),
        )
        .await;
        let took = started.elapsed();
        let since_said = spread.said.map(|said| self.since(said));
        spread.count(|tally| {
            tally.took += took;
            tally.message = tally.message.max(since_said);
        });
        let tally = spread.tally.get();
        if let Some(last) = spread.last.into_inner().filter(|_| tally.unreached > 0) {
            let (failed, members) = (tally.unreached, tally.unreached + tally.delivered);
            log::error(
                "a frame missed some members",
                &Undelivered {
                    failed,
                    members,
                    last,
                },
            );
        }
        self.bury_all(room, spread.gone.into_inner()).await
    }

    /// Carries out what another invocation has handed over. Who is found gone is removed and not told of:
    /// in a room of that size the next message or `ping` tells of all of them at once.
    pub async fn run_errand(&self, errand: Errand) {
        let now = self.clock.now();
        let (is_late, said) = (errand.is_late(now), errand.said());
        let Some((room, frame, members)) = errand.unpack() else {
            let error = PortError::new("carry out an errand", "its room cannot be one");
            log::error("an errand was not carried out", &error);
            return;
        };
        log::room(&room);
        let frame = Frame::new(frame);
        let spread = Spread::new(&frame, Effort::Stubborn, usize::MAX, &self.tally);
        if is_late {
            spread.count(|tally| tally.unreached += members.len());
            let error = PortError::new("carry out an errand", "it came too late");
            log::error("an errand was not carried out", &error);
            return;
        }
        let page = stream::once(std::future::ready(members));
        self.spread(&room, page, Spread { said, ..spread }).await;
    }

    /// How long ago that was. Functions' clocks differ by little, and may differ.
    fn since(&self, then: Timestamp) -> Duration {
        let now = self.clock.now().millis();
        Duration::from_millis(now.saturating_sub(then.millis()))
    }

    /// Keeps one share for this invocation, and hands over the others; those that nobody takes are kept
    /// as well. So whoever helps begins before the first post is made here.
    async fn share_out<M: Borrow<Member>>(
        &self,
        room: &Room,
        pages: impl Stream<Item = Vec<M>>,
        spread: &Spread<'_, M>,
        own: UnboundedSender<Vec<M>>,
    ) {
        let kept = Cell::new(0_usize);
        let shares = pages.flat_map(|page| stream::iter(shares(page, spread.share)));
        let shares = shares.map(|share| {
            let with_it = kept.get().saturating_add(share.len());
            let is_own = with_it <= spread.share;
            if is_own {
                kept.set(with_it);
            }
            (is_own, share)
        });
        let own = &own;
        let each = async |(is_own, share): (bool, Vec<M>)| {
            if is_own || !self.hand_over(room, &share, spread).await {
                // It fails only when nobody posts any more.
                drop(own.send(share));
            }
        };
        shares.for_each_concurrent(HANDED_AT_ONCE, each).await;
    }

    /// Whether another invocation has taken a share.
    async fn hand_over<M: Borrow<Member>>(
        &self,
        room: &Room,
        share: &[M],
        spread: &Spread<'_, M>,
    ) -> bool {
        let text = String::from_utf8_lossy(&spread.frame.text()).into_owned();
        let errand = Errand::new(room, text, share.iter().map(Borrow::borrow))
            .handed_over(self.clock.now(), spread.said);
        match self.outbox.hand_over(&errand).await {
            Ok(()) => {
                spread.count(|tally| tally.handed += share.len());
                true
            }
            Err(error) => {
                log::error("a part of a room was not handed over", &error);
                false
            }
        }
    }

    /// Posts to everybody in `shares` once.
    async fn post_all<M: Borrow<Member>>(
        &self,
        mut shares: UnboundedReceiver<Vec<M>>,
        spread: &Spread<'_, M>,
        failed: UnboundedSender<Straggler<M>>,
    ) {
        let shares = stream::poll_fn(|context| shares.poll_recv(context));
        let failed = &failed;
        let each = async |member: M| {
            let since = Instant::now();
            let Err((member, error)) = self.post(member, spread).await else {
                return;
            };
            match spread.effort {
                Effort::Once => spread.give_up(error),
                // It fails only when nobody listens any more.
                Effort::Stubborn => drop(failed.send(Straggler {
                    member,
                    error,
                    since,
                })),
            }
        };
        let members = shares.flat_map(stream::iter);
        members.for_each_concurrent(POSTS_AT_ONCE, each).await;
    }

    /// Posts to each straggler again, at its own pace.
    async fn post_again<M: Borrow<Member>>(
        &self,
        mut stragglers: UnboundedReceiver<Straggler<M>>,
        spread: &Spread<'_, M>,
    ) {
        let stragglers = stream::poll_fn(|context| stragglers.poll_recv(context));
        let places = &Semaphore::new(REPEATS_AT_ONCE);
        let each = async |straggler: Straggler<M>| {
            let since = straggler.since;
            let (mut member, mut error) = (straggler.member, straggler.error);
            for longest in PAUSES {
                let pause = self.some_of(longest);
                if since.elapsed() + pause > RETRY_BUDGET {
                    break;
                }
                tokio::time::sleep(pause).await;
                // It fails only when it is closed, which nobody does.
                let _place = places.acquire().await;
                if since.elapsed() > RETRY_BUDGET {
                    break;
                }
                spread.count(|tally| tally.retried += 1);
                match self.post(member, spread).await {
                    Ok(()) => return,
                    Err(again) => (member, error) = again,
                }
            }
            spread.give_up(error);
        };
        stragglers.for_each_concurrent(None, each).await;
    }

    /// Posts to one, and gives it back if it has to be tried again.
    async fn post<M: Borrow<Member>>(
        &self,
        member: M,
        spread: &Spread<'_, M>,
    ) -> Result<(), (M, PortError)> {
        let to = &member.borrow().connection;
        match self.outbox.post(to, spread.frame).await {
            Delivery::Delivered => spread.count(|tally| tally.delivered += 1),
            Delivery::Gone if self.may_be_in_its_handshake(member.borrow()) => {}
            Delivery::Gone => {
                spread.count(|tally| tally.gone += 1);
                spread.gone.borrow_mut().push(member);
            }
            Delivery::Throttled(error) => {
                spread.count(|tally| tally.throttled += 1);
                return Err((member, error));
            }
            Delivery::Failed(error) => return Err((member, error)),
        }
        Ok(())
    }

    /// From half of a wait to all of it, so that those who were refused together do not come back
    /// together.
    fn some_of(&self, longest: Duration) -> Duration {
        let mut random = [0; 1];
        // Without randomness all of it is waited.
        let fraction = match self.randomness.fill(&mut random) {
            Ok(()) => f64::from(random[0]) / 255.0,
            Err(_) => 1.0,
        };
        longest.mul_f64(0.5 + fraction / 2.0)
    }

    fn may_be_in_its_handshake(&self, member: &Member) -> bool {
        // Only who has sent a frame has a name, and only who is connected can send one.
        member.name.is_none()
            && member.expires.after(HANDSHAKE) > self.clock.now().after(CONNECTION_TTL)
    }

    /// Removes those who were found gone, many at once, for somebody waits: after a crowd has broken off
    /// there are as many. Whoever is left in the end is found gone by the next frame.
    async fn bury_all<M: Borrow<Member>>(&self, room: &Room, gone: Vec<M>) -> Vec<(Room, News)> {
        let (all, mut done, mut left) = (gone.len(), 0, Vec::new());
        let burials = stream::iter(&gone).map(|member| self.bury(room, member.borrow()));
        let burying = burials.buffer_unordered(BURIALS_AT_ONCE).for_each(|news| {
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
    pub(super) async fn clear(
        &self,
        room: &Room,
        member: &Member,
    ) -> Result<Vec<(Room, News)>, PortError> {
        let mut left = Vec::new();
        let record = self.store.drop_connection(&member.connection).await?;
        let elsewhere = record.filter(|it| it.room != *room || it.member != member.id);
        left.extend(self.take_out(room, member).await?);
        if let Some(record) = elsewhere {
            let room = record.room.clone();
            left.extend(self.take_out(&room, &record.into()).await?);
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

/// A page in shares of about the same size, `most` at most.
fn shares<M>(page: Vec<M>, most: usize) -> Vec<Vec<M>> {
    let parts = page.len().div_ceil(most).max(1);
    let size = page.len().div_ceil(parts);
    let mut left = page.into_iter();
    let mut shares = Vec::with_capacity(parts);
    while left.len() > 0 {
        shares.push(left.by_ref().take(size).collect());
    }
    shares
}

/// One frame's way to its receivers, and what came of it so far.
struct Spread<'a, M> {
    frame: &'a Frame,
    effort: Effort,
    /// The time of the message that it is, if it is one.
    said: Option<Timestamp>,
    /// Members that are posted to here; all others are handed over.
    share: usize,
    /// Of this frame.
    tally: Cell<Tally>,
    /// Of the whole invocation, right at any moment, for it may be cut off.
    all: &'a Cell<Tally>,
    gone: RefCell<Vec<M>>,
    last: RefCell<Option<PortError>>,
}

impl<'a, M> Spread<'a, M> {
    fn new(frame: &'a Frame, effort: Effort, share: usize, all: &'a Cell<Tally>) -> Self {
        Self {
            frame,
            effort,
            said: None,
            share,
            all,
            tally: Cell::default(),
            gone: RefCell::default(),
            last: RefCell::default(),
        }
    }

    fn count(&self, add: impl Fn(&mut Tally)) {
        for counted in [&self.tally, self.all] {
            let mut tally = counted.get();
            add(&mut tally);
            counted.set(tally);
        }
    }

    fn give_up(&self, error: PortError) {
        self.count(|tally| tally.unreached += 1);
        self.last.replace(Some(error));
    }
}

/// Whom a post did not reach.
struct Straggler<M> {
    member: M,
    error: PortError,
    /// When its first post was made.
    since: Instant,
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
