//! What was said before, in parts that fit a frame.

use super::message::said;
use super::{Chat, Failure, Room};
use crate::ports::{ConnectionId, Outbox, Part, PortError, Store, Timestamp};
use crate::protocol::{FRAME_BYTES_MAX, Said, ServerFrame};

/// Messages in a frame when a client does not say how many.
const DEFAULT_LIMIT: usize = 50;
/// Messages in a frame at most.
pub(super) const LIMIT_MAX: usize = 100;

/// A part of what can still be seen.
pub(super) struct Window {
    /// In order.
    pub(super) messages: Vec<Said>,
    /// The first message's that can be seen, or the next one's when there is none.
    pub(super) oldest: u64,
    /// The newest message's.
    pub(super) seq: u64,
    part: Part,
}

impl Window {
    /// Takes out what fits beside the rest of a frame, and tells whether there is more on that side.
    pub(super) fn fit(&mut self, rest: &ServerFrame) -> (Vec<Said>, bool) {
        // `"more":false` may become `true`, which is shorter.
        let mut room = FRAME_BYTES_MAX.saturating_sub(rest.to_json().len());
        let mut fits = |said: &Said| {
            let bytes = serde_json::to_string(said).map_or(usize::MAX, |it| it.len() + 1);
            let taken = room.checked_sub(bytes);
            room = taken.unwrap_or(0);
            taken.is_some()
        };
        let mut messages = std::mem::take(&mut self.messages);
        if let Part::After(after) = self.part {
            let count = messages.iter().take_while(|it| fits(it)).count();
            messages.truncate(count);
            let last = messages
                .last()
                .map_or(after.max(self.oldest - 1), |it| it.seq);
            (messages, last < self.seq)
        } else {
            let count = messages.iter().rev().take_while(|it| fits(it)).count();
            let dropped = messages.len() - count;
            let next = messages.get(dropped.wrapping_sub(1)).map(|it| it.seq);
            messages.drain(..dropped);
            let first = messages.first().map(|it| it.seq);
            let more = match (first, next) {
                (Some(first), _) => first > self.oldest,
                (None, next) => next.is_some(),
            };
            (messages, more)
        }
    }
}

impl<S: Store, O: Outbox> Chat<S, O> {
    pub(super) async fn history(
        &self,
        sender: &ConnectionId,
        part: Option<Part>,
        limit: Option<u64>,
    ) -> Result<ServerFrame, Failure> {
        let connection = self.connection(sender).await?;
        let room = connection.room.clone();
        let head = self.store.head(&room, self.clock.now()).await?;
        let barred = head.as_ref().map(|head| &head.barred);
        if barred.is_some_and(|it| it.has(&connection.member, connection.subject()))
            && let Some(name) = connection.name
        {
            let member = connection.member;
            return Err(self.turn_away(sender, &room, member, name).await);
        }
        let tail = head.map_or(0, |head| head.tail);
        let limit = limit.map_or(DEFAULT_LIMIT, |it| usize::try_from(it).unwrap_or(LIMIT_MAX));
        let mut window = self.window(&room, tail, part, limit).await?;
        let mut frame = ServerFrame::History {
            room: room.to_string(),
            messages: Vec::new(),
            oldest: window.oldest,
            more: false,
        };
        let fitting = window.fit(&frame);
        if let ServerFrame::History { messages, more, .. } = &mut frame {
            (*messages, *more) = fitting;
        }
        Ok(frame)
    }

    /// `tail` is the newest message that the room knows of. Without a part, the newest messages.
    pub(super) async fn window(
        &self,
        room: &Room,
        tail: u64,
        part: Option<Part>,
        limit: usize,
    ) -> Result<Window, PortError> {
        let limit = limit.clamp(1, LIMIT_MAX);
        let seq = self.store.newest(room).await?.max(tail);
        let oldest = self.oldest(room, seq).await?;
        let part = part.unwrap_or(Part::Before(u64::MAX));
        let read = match part {
            Part::After(after) => Part::After(after.max(oldest - 1)),
            before @ Part::Before(_) => before,
        };
        let mut found = self.store.page(room, read, limit).await?;
        if let Part::Before(_) = part {
            found.reverse();
        }
        found.retain(|it| it.seq >= oldest);
        let seq = found.last().map_or(seq, |it| it.seq.max(seq));
        Ok(Window {
            messages: found.iter().map(said).collect(),
            oldest,
            seq,
            part,
        })
    }

    /// The first message that can still be seen. Those past their time are removed some day, in any
    /// order, and most often soon: so the first one that is there is looked at first, and after that
    /// the middle of what is left, again and again.
    async fn oldest(&self, room: &Room, seq: u64) -> Result<u64, PortError> {
        let (mut hidden, mut oldest, mut below) = (0, seq + 1, seq + 1);
        let mut middle = 1;
        while hidden + 1 < below {
            let found = self.store.page(room, Part::After(middle - 1), 1).await?;
            match found.first() {
                Some(message) if !self.is_visible(message.at) => hidden = message.seq,
                Some(message) => (oldest, below) = (message.seq.min(oldest), middle),
                None => below = middle,
            }
            middle = hidden.midpoint(below).max(hidden + 1);
        }
        Ok(oldest)
    }

    fn is_visible(&self, at: Timestamp) -> bool {
        at.after(self.history) > self.clock.now()
    }
}
