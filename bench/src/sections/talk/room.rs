//! A room full of members, and what is done in it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use tokio::time::{sleep, timeout};

use super::member::{Ear, Member};
use crate::error::BenchError;

/// Members that join at the same time.
const PACE: usize = 8;
/// How long the others may take to hear a message.
const HEARD_TIMEOUT: Duration = Duration::from_secs(20);
/// Who has joined is announced within a second: after so long a silence all of that is over.
const SILENCE: Duration = Duration::from_millis(1_300);
/// How long silence is waited for.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(20);

/// A room of one server.
#[derive(Debug)]
pub(super) struct Room {
    url: String,
    code: String,
    members: Vec<Member>,
    pub(super) ear: Rc<Ear>,
    /// A message that somebody has not heard by then is lost.
    hearing: Duration,
    /// How many came in a second when it grew last.
    pub(super) joins_a_second: f64,
}

impl Room {
    /// Makes it, with one member.
    ///
    /// # Errors
    /// If the server refuses.
    pub(super) async fn open(url: &str, ear: &Rc<Ear>) -> Result<Self, BenchError> {
        let mut first = Member::connect(url, 0, ear).await?;
        let code = first.enter(None, "m0").await?;
        Ok(Self {
            url: url.to_owned(),
            code,
            members: vec![first],
            ear: Rc::clone(ear),
            hearing: HEARD_TIMEOUT,
            joins_a_second: 0.0,
        })
    }

    pub(super) fn size(&self) -> usize {
        self.members.len()
    }

    /// Lets more join, until there are `size` members or `patience` is over, and waits until all is
    /// quiet. `false` if there are fewer.
    ///
    /// # Errors
    /// If one of them is refused.
    pub(super) async fn grow(
        &mut self,
        size: usize,
        patience: Duration,
    ) -> Result<bool, BenchError> {
        let (since, before) = (Instant::now(), self.size());
        while self.size() < size && since.elapsed() < patience {
            let more = self.size()..size.min(self.size() + PACE);
            let joining = more.map(async |index| {
                let mut member = Member::connect(&self.url, index, &self.ear).await?;
                member.enter(Some(&self.code), &format!("m{index}")).await?;
                Ok(member)
            });
            let joined = try_join_all(joining).await?;
            self.members.extend(joined);
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let joined = (self.size() - before) as f64;
        self.joins_a_second = joined / since.elapsed().as_secs_f64();
        let since = Instant::now();
        while self.ear.silent_for() < SILENCE && since.elapsed() < SILENCE_TIMEOUT {
            sleep(SILENCE / 10).await;
        }
        Ok(self.size() >= size)
    }

    /// `by` says something: gives how long it took until all others had heard it, or `None` if one
    /// of them never did.
    ///
    /// # Errors
    /// If `by` is no longer connected.
    pub(super) async fn say(&mut self, by: usize) -> Result<Option<Duration>, BenchError> {
        let size = self.size();
        let member = self
            .members
            .get_mut(by)
            .ok_or_else(|| BenchError::Measurement(format!("there is no member {by}")))?;
        speak(member, by, size, &self.ear, self.hearing).await
    }

    /// How many messages all who listen have heard so far.
    pub(super) fn deliveries(&self) -> u64 {
        self.ear.board.borrow().deliveries()
    }

    /// The first `speakers` members speak at the same time, each as soon as all have heard what it
    /// said before; gives deliveries a second during `window`, which begins after `warm_up`.
    ///
    /// # Errors
    /// If one of them is no longer connected.
    pub(super) async fn saturate(
        &mut self,
        speakers: usize,
        warm_up: Duration,
        window: Duration,
    ) -> Result<f64, BenchError> {
        let size = self.size();
        let (ear, hearing) = (&self.ear, self.hearing);
        let until = Instant::now() + warm_up + window;
        let speaking = self.members.iter_mut().take(speakers).enumerate();
        let speaking = speaking.map(async |(index, member)| {
            while Instant::now() < until {
                if speak(member, index, size, ear, hearing).await?.is_none() {
                    // What is lost is on the board; more of it tells nothing new.
                    break;
                }
            }
            Ok::<(), BenchError>(())
        });
        let counting = async {
            sleep(warm_up).await;
            let (before, since) = (ear.board.borrow().deliveries(), Instant::now());
            sleep(window).await;
            let after = ear.board.borrow().deliveries();
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let deliveries = (after - before) as f64;
            deliveries / since.elapsed().as_secs_f64()
        };
        let (spoken, rate) = tokio::join!(join_all(speaking), counting);
        spoken.into_iter().collect::<Result<(), _>>()?;
        Ok(rate)
    }
}

async fn speak(
    member: &mut Member,
    index: usize,
    size: usize,
    ear: &Ear,
    hearing: Duration,
) -> Result<Option<Duration>, BenchError> {
    let ticket = ear.board.borrow_mut().said(Instant::now(), index, size);
    member.say(&ticket).await?;
    let heard = timeout(hearing, ticket.whole).await;
    Ok(heard.ok().and_then(Result::ok))
}

/// Connects up to `count` sockets that do nothing, until `patience` is over.
///
/// # Errors
/// If one of them is refused.
pub(super) async fn idle(
    url: &str,
    count: usize,
    patience: Duration,
    ear: &Rc<Ear>,
) -> Result<Vec<Member>, BenchError> {
    let since = Instant::now();
    let mut idle = Vec::new();
    while idle.len() < count && since.elapsed() < patience {
        let more = idle.len()..count.min(idle.len() + PACE);
        let connected = more.map(|index| Member::connect(url, index, ear));
        idle.extend(try_join_all(connected).await?);
    }
    Ok(idle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::talk::ceiling;

    /// A room of `size` on a server that forgets every so many frames.
    async fn room(size: usize, forgets_every: Option<u64>) -> Room {
        let (url, serving) = ceiling::serve(forgets_every).await.unwrap();
        tokio::spawn(serving);
        let mut room = Room::open(&url, &Ear::new()).await.unwrap();
        assert!(room.grow(size, HEARD_TIMEOUT).await.unwrap());
        room
    }

    async fn here<T>(test: impl Future<Output = T>) -> T {
        tokio::task::LocalSet::new().run_until(test).await
    }

    #[tokio::test]
    async fn whatever_is_said_is_counted_once_for_each_of_the_others() {
        here(async {
            let mut room = room(10, None).await;
            assert!(room.joins_a_second > 0.0, "{room:?}");
            for by in [0, 9, 4] {
                assert!(room.say(by).await.unwrap().is_some());
            }
            let board = room.ear.board.borrow();
            let counts = (board.deliveries(), board.losses(), board.repeats());
            assert_eq!(counts, (27, 0, 0));
        })
        .await;
    }

    #[tokio::test]
    async fn what_a_server_forgets_is_counted_as_lost() {
        here(async {
            // The 30th frame is one of the third message's nine: ten tell that somebody has joined.
            let mut room = room(10, Some(30)).await;
            assert!(room.say(0).await.unwrap().is_some());
            assert!(room.say(1).await.unwrap().is_some());
            room.hearing = Duration::from_secs(2);
            assert_eq!(room.say(2).await.unwrap(), None);
            let board = room.ear.board.borrow();
            assert_eq!((board.deliveries(), board.losses()), (26, 1));
        })
        .await;
    }

    #[tokio::test]
    async fn speakers_at_the_same_time_lose_nothing_and_their_rate_is_what_was_heard() {
        here(async {
            let mut room = room(20, None).await;
            let window = Duration::from_millis(200);
            let since = Instant::now();
            let rate = room
                .saturate(4, Duration::from_millis(20), window)
                .await
                .unwrap();
            let board = room.ear.board.borrow();
            assert_eq!((board.losses(), board.deliveries() % 19), (0, 0));
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let all = board.deliveries() as f64;
            assert!(rate > 0.0 && rate * window.as_secs_f64() <= all, "{rate}");
            assert!(rate >= all / since.elapsed().as_secs_f64() / 2.0, "{rate}");
        })
        .await;
    }

    #[tokio::test]
    async fn who_is_not_there_cannot_speak_and_a_closed_port_is_told() {
        here(async {
            let mut room = room(2, None).await;
            assert!(room.say(2).await.is_err());
            let refused = Room::open("ws://127.0.0.1:1/", &Ear::new()).await;
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("ws://127.0.0.1:1/"), "{error}");
        })
        .await;
    }
}
