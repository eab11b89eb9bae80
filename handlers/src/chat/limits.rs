//! What one connection may do how often, or all of them together. Only what is seldom done is counted by
//! a write of its own; how fast somebody speaks costs none (`pace.rs`).

use std::time::Duration;

use super::{CONNECTION_TTL, Chat, Failure, no_such_room};
use crate::log;
use crate::ports::{ConnectionId, Outbox, Store};
use crate::protocol::{Code, Refusal};

/// Rooms that one connection makes in a minute at most.
const CREATED_BY_ONE_MAX: u64 = 60;

/// Rooms that are made in a minute at most, by all connections.
const CREATED_BY_ALL_MAX: u64 = 1_200;

/// Wrong codes of one connection at most.
const WRONG_CODES_MAX: u64 = 20;

const MINUTE: Duration = Duration::from_mins(1);

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Counts a room that is about to be made.
    pub(super) async fn count_creation(&self, creator: &ConnectionId) -> Result<(), Failure> {
        let now = self.clock.now();
        let minute = now.seconds() / MINUTE.as_secs();
        let over = now.after(2 * MINUTE);
        let by_one = (format!("CREATED#{minute}#{creator}"), CREATED_BY_ONE_MAX);
        let by_all = (format!("CREATED#{minute}"), CREATED_BY_ALL_MAX);
        for (what, most) in [by_one, by_all] {
            if !self.store.count(&what, most, over).await? {
                let next = (minute + 1) * MINUTE.as_secs() * 1_000;
                let wait = Duration::from_millis(next.saturating_sub(now.millis()));
                let message = "so many rooms were made within this minute; try again in the next";
                return Err(Refusal::too_fast(message, wait).into());
            }
        }
        Ok(())
    }

    /// Counts a code that no room has. Who tries too many has to open another connection, which takes
    /// longer than a try.
    pub(super) async fn after_a_wrong_code(
        &self,
        guesser: &ConnectionId,
        failure: Failure,
    ) -> Failure {
        if !matches!(&failure, Failure::Refused(it) if it.code == Code::NoSuchRoom) {
            return failure;
        }
        let over = self.clock.now().after(CONNECTION_TTL);
        let what = format!("WRONG#{guesser}");
        match self.store.count(&what, WRONG_CODES_MAX, over).await {
            Ok(true) => return no_such_room().into(),
            Ok(false) => {}
            Err(error) => return error.into(),
        }
        if let Err(error) = self.depart(guesser).await {
            log::error("a connection of many wrong codes was not ended", &error);
        }
        Refusal::new(
            Code::NotConnected,
            "no room has this code, nor had the ones before; connect again",
        )
        .into()
    }
}
