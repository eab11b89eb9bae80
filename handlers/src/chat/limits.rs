//! What one may do how often, or all together: a connection, or an account with all its connections where
//! people sign in. Only what is seldom done is counted by a write of its own; how fast somebody speaks costs none (`pace.rs`).

use std::time::Duration;

use super::bar::of_subject;
use super::{CONNECTION_TTL, Chat, Failure, no_such_room};
use crate::log;
use crate::ports::{Connection, Outbox, PortError, Store};
use crate::protocol::{Code, Refusal};

/// Rooms that one makes in a minute at most.
const CREATED_BY_ONE_MAX: u64 = 60;

/// Rooms that are made in a minute at most, by all together.
const CREATED_BY_ALL_MAX: u64 = 1_200;

/// What one changes in a minute at most of lists that all in a room are told: names, comings and goings.
const CHANGES_MAX: u64 = 30;

/// How often in a minute the others are told at most that one is writing. The page says it fifteen times.
const TYPING_MAX: u64 = 60;

/// Wrong codes of one at most: of a connection, or of an account in about two hours.
const WRONG_CODES_MAX: u64 = 20;

const MINUTE: Duration = Duration::from_mins(1);

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Counts a room that is about to be made.
    pub(super) async fn count_creation(&self, creator: &Connection) -> Result<(), Failure> {
        let by_one = (format!("#{}", who(creator)), CREATED_BY_ONE_MAX);
        let by_all = (String::new(), CREATED_BY_ALL_MAX);
        for (whose, most) in [by_one, by_all] {
            if !self.count_in_minute("CREATED", &whose, most).await? {
                let message =
                    "too many rooms were made within this minute; try again in the next one";
                return Err(self.in_the_next_minute(message).into());
            }
        }
        Ok(())
    }

    /// Counts a change that the others in a room are about to be told.
    pub(super) async fn count_change(&self, by: &Connection) -> Result<(), Failure> {
        let whose = format!("#{}", who(by));
        if self.count_in_minute("CHANGED", &whose, CHANGES_MAX).await? {
            return Ok(());
        }
        let message = "you came, went or changed your name too often within this minute; try again in the next one";
        Err(self.in_the_next_minute(message).into())
    }

    /// Whether the others may be told that somebody is writing, which counts it.
    pub(super) async fn may_tell_typing(&self, of: &Connection) -> Result<bool, PortError> {
        let whose = format!("#{}", who(of));
        self.count_in_minute("TYPING", &whose, TYPING_MAX).await
    }

    async fn count_in_minute(&self, what: &str, whose: &str, most: u64) -> Result<bool, PortError> {
        let now = self.clock.now();
        let minute = now.seconds() / MINUTE.as_secs();
        let what = format!("{what}#{minute}{whose}");
        self.store.count(&what, most, now.after(2 * MINUTE)).await
    }

    fn in_the_next_minute(&self, message: &str) -> Refusal {
        let now = self.clock.now();
        let next = (now.seconds() / MINUTE.as_secs() + 1) * MINUTE.as_secs() * 1_000;
        Refusal::too_fast(message, Duration::from_millis(next - now.millis()))
    }

    /// Counts a code that no room has. Who tries too many has to open another connection, which takes
    /// longer than a try; for an account that has used up its codes each further one ends a connection.
    pub(super) async fn after_a_wrong_code(
        &self,
        guesser: &Connection,
        failure: Failure,
    ) -> Failure {
        if !matches!(&failure, Failure::Refused(it) if it.code == Code::NoSuchRoom) {
            return failure;
        }
        let now = self.clock.now();
        let mut what = format!("WRONG#{}", who(guesser));
        if guesser.identity.is_some() {
            // A connection ends; an account has to be forgiven.
            what = format!("{what}#{}", now.seconds() / CONNECTION_TTL.as_secs());
        }
        let over = now.after(CONNECTION_TTL);
        match self.store.count(&what, WRONG_CODES_MAX, over).await {
            Ok(true) => return no_such_room().into(),
            Ok(false) => {}
            Err(error) => return error.into(),
        }
        if let Err(error) = self.depart(&guesser.id).await {
            log::error("a connection of many wrong codes was not ended", &error);
        }
        Refusal::new(
            Code::NotConnected,
            "no room has this code, nor had the ones before; connect again",
        )
        .into()
    }
}

/// Whom limits count: the account where people sign in, however many connections it has.
fn who(connection: &Connection) -> String {
    let account = connection.subject().map(of_subject);
    account.unwrap_or_else(|| connection.id.to_string())
}
