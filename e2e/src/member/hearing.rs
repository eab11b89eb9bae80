//! What a member makes of the frames that it gets.

use serde_json::Value;
use tokio::time::Instant;

use super::trace::brief;
use super::{AGAIN, End, GRACE, Member, PATIENCE, Session, Settled};
use crate::conversation::{Breach, Way};

impl Member {
    pub(super) fn hear(
        &mut self,
        session: &mut Session,
        frame: &Value,
        settled: &Settled,
    ) -> Result<Option<End>, Breach> {
        self.tell(&format!("< {}", brief(frame)));
        let end = match frame["type"].as_str() {
            Some("error") => return self.refused(session, frame),
            None => {
                // Of whichever frame.
                self.happens(
                    frame["message"]
                        .as_str()
                        .unwrap_or("frames of unknown kind"),
                );
                return Ok(self.repeat_all(session));
            }
            Some("left") => {
                (session.joined, session.join) = (false, None);
                None
            }
            Some(kind) if frame["room"] == self.plan.room => self.room(session, kind, frame)?,
            // The answer to a question that was asked in the room, and read in the lobby.
            Some("pong" | "history") if frame["room"] == "lobby" => {
                session.joined &= session.join.is_some();
                (session.ping, session.history) = (None, None);
                None
            }
            _ => return Err(Breach::of_frame("a frame of another room", frame)),
        };
        self.settle(session, frame, settled);
        Ok(end)
    }

    fn room(
        &mut self,
        session: &mut Session,
        kind: &str,
        frame: &Value,
    ) -> Result<Option<End>, Breach> {
        let conversation = &mut self.outcome.conversation;
        match kind {
            "message" => {
                let own = frame["from"] == self.plan.name.as_str();
                conversation.take(frame, if own { Way::Reply } else { Way::Live })?;
                self.is_stored(frame)?;
            }
            "joined" => {
                conversation.recover(frame)?;
                conversation.hear_of(frame["seq"].as_u64().unwrap_or(0));
                for message in frame["messages"].as_array().into_iter().flatten() {
                    self.is_stored(message)?;
                }
                self.has_joined(session, frame)?;
            }
            "history" => {
                conversation.recover(frame)?;
                for message in frame["messages"].as_array().into_iter().flatten() {
                    self.is_stored(message)?;
                }
                // What is still missing is asked for at once.
                (session.history, session.gap) = (None, session.gap.map(|at| at - GRACE));
            }
            "presence" => self.roster.take(frame)?,
            "pong" => {
                conversation.hear_of(frame["seq"].as_u64().unwrap_or(0));
                session.ping = None;
                if frame["rev"].as_u64() > Some(self.roster.rev) && session.join.is_none() {
                    self.happens("lists asked for");
                    session.joined = false;
                }
            }
            _ => return Err(Breach::of_frame("a frame of no known type", frame)),
        }
        Ok(None)
    }

    fn has_joined(&mut self, session: &mut Session, frame: &Value) -> Result<(), Breach> {
        let secret = frame["resume"].as_str().map(str::to_owned);
        if frame["name"] != self.plan.name.as_str() || secret.is_none() {
            return Err(Breach::of_frame("joined as somebody else", frame));
        }
        if self.resume.is_some() && self.resume != secret {
            return Err(Breach::of_frame("resumed as somebody else", frame));
        }
        self.resume = secret;
        self.roster.take(frame)?;
        if !session.joined {
            session.joined = true;
            // On the new connection nobody answers what was sent on the old one.
            self.hurry();
        }
        session.join = None;
        Ok(())
    }

    /// A message that is there is answered, however it came.
    fn is_stored(&mut self, message: &Value) -> Result<(), Breach> {
        if message["from"] != self.plan.name.as_str() {
            return Ok(());
        }
        let (id, seq) = (message["id"].as_str(), message["seq"].as_u64());
        let (Some(id), Some(seq)) = (id, seq) else {
            return Err(Breach::of_frame(
                "an own message without `id` or `seq`",
                message,
            ));
        };
        self.pending.remove(id);
        let before = self.outcome.answered.insert(id.to_owned(), seq);
        if before.is_some_and(|before| before != seq) {
            let what = format!("`{id}` was answered with {before:?} and with {seq}");
            return Err(Breach::new(what, [id.to_owned()]));
        }
        Ok(())
    }

    fn refused(&mut self, session: &mut Session, frame: &Value) -> Result<Option<End>, Breach> {
        let code = frame["code"].as_str().unwrap_or_default();
        self.happens(&format!("refused: {code}"));
        match code {
            "not-connected" => return Ok(Some(End::Unknown)),
            "not-in-room" => session.joined = false,
            "try-again" if frame["id"].is_null() => return Ok(self.repeat_all(session)),
            "try-again" | "too-fast" => {}
            // Its own former connection holds it, the `joined` of which never came.
            "name-taken" if self.resume.is_none() => session.join = None,
            _ => return Err(Breach::of_frame("a refusal without a reason", frame)),
        }
        self.hurry();
        Ok(None)
    }

    /// Asks again soon for whatever is not answered.
    fn repeat_all(&mut self, session: &mut Session) -> Option<End> {
        self.hurry();
        session.history = None;
        let join = session.join.as_mut()?;
        if self.resume.is_none() {
            return Some(End::Silent);
        }
        let last = (join.last + AGAIN).checked_sub(PATIENCE);
        join.last = last.unwrap_or(join.last);
        None
    }

    /// Whether it lacks nothing, and a question that was asked since then has been answered so.
    fn settle(&mut self, session: &Session, frame: &Value, settled: &Settled) {
        let conversation = &self.outcome.conversation;
        let has_all = conversation.newest() == self.plan.total && !conversation.misses_some();
        let knows_all = self.plan.roster.as_ref();
        let knows_all = knows_all.is_none_or(|names| *names == self.roster.names);
        let has_said_all = self.outcome.answered.len() == self.plan.says.len();
        if !(has_all && knows_all && has_said_all && session.joined) {
            self.unsettle(settled);
            return;
        }
        let since = *self.complete.get_or_insert_with(Instant::now);
        if frame["type"] == "pong" && session.pinged > since {
            settled.send_if_modified(|all| all.insert(self.plan.name.clone()));
        }
    }

    pub(super) fn unsettle(&mut self, settled: &Settled) {
        self.complete = None;
        settled.send_if_modified(|all| all.remove(&self.plan.name));
    }
}
