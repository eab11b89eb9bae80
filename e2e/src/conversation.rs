//! The receiver's side of PROTOCOL.md: what came of a room, in order and once, and what is missing.
//! Pure; sockets and clocks are [`crate::member`]'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde_json::Value;

/// A message, as everybody has to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its place.
    pub seq: u64,
    /// What its sender calls it.
    pub id: String,
    /// Who.
    pub from: String,
    /// What.
    pub text: String,
    /// When, in milliseconds.
    pub at: u64,
}

impl Said {
    fn read(value: &Value) -> Option<Self> {
        let text = |field: &str| value[field].as_str().map(str::to_owned);
        Some(Self {
            seq: value["seq"].as_u64()?,
            id: text("id")?,
            from: text("from")?,
            text: text("text")?,
            at: value["at"].as_u64()?,
        })
    }
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As a `message` of somebody else's.
    Live,
    /// As the reply to the own one.
    Reply,
    /// In `joined` or `history`.
    Recovered,
}

/// How many messages came first in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As a `message` of somebody else's.
    pub live: u64,
    /// As the reply to the own one.
    pub replies: u64,
    /// In `joined` or `history`.
    pub recovered: u64,
    /// Not first, but once more, in whichever way.
    pub again: u64,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// What is wrong.
    pub what: String,
    /// What a line of a trace has to have in it, to be about this.
    pub about: Vec<String>,
}

impl Breach {
    /// `about` is what to look for in traces.
    pub fn new(what: impl Into<String>, about: impl IntoIterator<Item = String>) -> Self {
        Self {
            what: what.into(),
            about: about.into_iter().collect(),
        }
    }

    /// Of a frame as a whole.
    pub(crate) fn of_frame(what: &str, frame: &Value) -> Self {
        Self::new(format!("{what}: {frame}"), [])
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

/// What came of one room, from its first message on.
///
/// ```
/// use e2e::conversation::{Conversation, Way};
/// use serde_json::json;
///
/// let said = |seq: u64| {
///     let id = format!("id-{seq}");
///     json!({"seq": seq, "id": id, "from": "ann", "text": "hi", "at": 1_700_000_000_000_u64})
/// };
/// let mut room = Conversation::default();
/// room.take(&said(1), Way::Live)?;
/// room.take(&said(3), Way::Live)?;
/// assert!(room.misses_some() && room.newest() == 1);
/// room.recover(&json!({"oldest": 1, "messages": [said(2), said(3)]}))?;
/// assert!(!room.misses_some() && room.newest() == 3);
/// # Ok::<(), e2e::conversation::Breach>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    messages: Vec<Said>,
    ahead: BTreeMap<u64, Said>,
    places: HashMap<String, u64>,
    known: u64,
    /// In which ways they came.
    pub counts: Counts,
}

impl Conversation {
    /// Takes a message in; the same one again changes nothing.
    ///
    /// # Errors
    /// A [`Breach`] when it is unreadable, another one of its place, or the same at another place.
    pub fn take(&mut self, value: &Value, way: Way) -> Result<(), Breach> {
        let said = Said::read(value)
            .filter(|said| said.seq > 0)
            .ok_or_else(|| Breach::of_frame("an unreadable message", value))?;
        self.known = self.known.max(said.seq);
        if let Some(first) = self.at(said.seq) {
            if *first != said {
                let about = [format!("#{} ", said.seq), said.id.clone(), first.id.clone()];
                let what = format!("two messages of one place: {first:?} and {said:?}");
                return Err(Breach::new(what, about));
            }
            self.counts.again += 1;
            return Ok(());
        }
        if let Some(place) = self.places.insert(said.id.clone(), said.seq) {
            let what = format!("`{}` is at {place} and at {}", said.id, said.seq);
            return Err(Breach::new(what, [said.id]));
        }
        match way {
            Way::Live => self.counts.live += 1,
            Way::Reply => self.counts.replies += 1,
            Way::Recovered => self.counts.recovered += 1,
        }
        self.ahead.insert(said.seq, said);
        while let Some(next) = self.ahead.remove(&(self.newest() + 1)) {
            self.messages.push(next);
        }
        Ok(())
    }

    /// Takes in the messages of a `joined` or `history`.
    ///
    /// # Errors
    /// A [`Breach`] as [`Conversation::take`] has it, or when something that is missing is said to be
    /// gone, or the messages are not in order.
    pub fn recover(&mut self, frame: &Value) -> Result<(), Breach> {
        let oldest = frame["oldest"].as_u64();
        if oldest.is_none_or(|oldest| oldest > 1) {
            return Err(Breach::of_frame("history does not begin at 1", frame));
        }
        let messages = frame["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let places: Vec<u64> = messages
            .iter()
            .filter_map(|it| it["seq"].as_u64())
            .collect();
        if places.windows(2).any(|pair| pair[0] + 1 != pair[1]) {
            let what = format!("messages are not one after another: {places:?}");
            return Err(Breach::new(what, []));
        }
        for message in messages {
            self.take(message, Way::Recovered)?;
        }
        Ok(())
    }

    /// A `pong` or `joined` told of the newest message.
    pub fn hear_of(&mut self, seq: u64) {
        self.known = self.known.max(seq);
    }

    /// The newest message up to which all are there: what `after` is.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.messages.len().try_into().unwrap_or(u64::MAX)
    }

    /// Whether there is something to ask for.
    #[must_use]
    pub fn misses_some(&self) -> bool {
        self.newest() < self.known
    }

    /// All up to the first that is missing.
    #[must_use]
    pub fn messages(&self) -> &[Said] {
        &self.messages
    }

    fn at(&self, seq: u64) -> Option<&Said> {
        let place = usize::try_from(seq - 1).ok()?;
        self.messages.get(place).or_else(|| self.ahead.get(&seq))
    }
}

/// The list of members, of the greatest `rev` that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Which state.
    pub rev: u64,
    /// Who.
    pub names: BTreeSet<String>,
}

impl Roster {
    /// Takes in a `joined` or `presence`.
    ///
    /// # Errors
    /// A [`Breach`] when the count is not that of the names.
    pub fn take(&mut self, frame: &Value) -> Result<(), Breach> {
        let rev = frame["rev"].as_u64().unwrap_or(0);
        let names = frame["members"].as_array().into_iter().flatten();
        let names: BTreeSet<String> = names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        if frame["count"].as_u64() != u64::try_from(names.len()).ok() {
            return Err(Breach::of_frame("a list with another count", frame));
        }
        if rev > self.rev {
            *self = Self { rev, names };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(seq: u64, id: &str) -> Value {
        json!({"seq": seq, "id": id, "from": "ann", "text": id, "at": 1})
    }

    #[test]
    fn what_comes_out_of_order_is_put_in_order_and_a_gap_is_known() {
        let mut conversation = Conversation::default();
        for (seq, newest, misses) in [(2, 0, true), (3, 0, true), (1, 3, false), (2, 3, false)] {
            let message = said(seq, &seq.to_string());
            conversation.take(&message, Way::Live).expect("no breach");
            let state = (conversation.newest(), conversation.misses_some());
            assert_eq!(state, (newest, misses), "{seq}");
        }
        assert_eq!(
            (conversation.counts.live, conversation.counts.again),
            (3, 1)
        );
        conversation.hear_of(4);
        assert!(conversation.misses_some());
    }

    #[test]
    fn two_of_one_place_and_one_at_two_places_are_breaches() {
        for second in [said(1, "b"), said(2, "a"), json!({"seq": 2})] {
            let mut conversation = Conversation::default();
            let first = conversation.take(&said(1, "a"), Way::Live);
            first.expect("no breach");
            let breach = conversation.take(&second, Way::Recovered);
            breach.expect_err("a breach");
        }
    }

    #[test]
    fn history_with_a_hole_or_without_its_beginning_is_a_breach() {
        let hole = json!({"oldest": 1, "messages": [said(1, "a"), said(3, "c")]});
        let late = json!({"oldest": 2, "messages": [said(2, "b")]});
        for frame in [hole, late] {
            let breach = Conversation::default().recover(&frame);
            breach.expect_err("a breach");
        }
    }

    #[test]
    fn an_older_list_of_members_changes_nothing() {
        let mut roster = Roster::default();
        for (rev, names) in [(2, json!(["ann", "bob"])), (1, json!(["ann"]))] {
            let count = names.as_array().map(Vec::len);
            let frame = json!({"rev": rev, "members": names, "count": count});
            roster.take(&frame).expect("no breach");
        }
        assert_eq!((roster.rev, roster.names.len()), (2, 2));
    }
}
