//! A change to the list of members: the frame that tells of it, and a crowd's list with it.

use super::list::{add, listed, remove};
use crate::chat::{Name, Room};
use crate::ports::List;
use crate::protocol::{PresenceEvent, ServerFrame};

/// A change to the list of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::chat) struct News {
    pub(super) event: PresenceEvent,
    name: Option<Name>,
    was: Option<Name>,
    /// Whether a crowd is told at once.
    pub(super) is_urgent: bool,
}

impl News {
    pub(in crate::chat) fn joined(name: &Name) -> Self {
        Self::of(PresenceEvent::Join, name)
    }

    pub(in crate::chat) fn left(name: &Name) -> Self {
        Self::of(PresenceEvent::Leave, name)
    }

    /// Nobody is to go on seeing who was put out, and that is rare.
    pub(in crate::chat) fn removed(name: &Name) -> Self {
        Self {
            is_urgent: true,
            ..Self::left(name)
        }
    }

    /// Of somebody whom nobody told of.
    pub(super) fn unknown() -> Self {
        Self {
            event: PresenceEvent::Sync,
            name: None,
            was: None,
            is_urgent: false,
        }
    }

    pub(in crate::chat) fn renamed(was: &Name, name: &Name) -> Self {
        Self {
            was: Some(was.clone()),
            ..Self::of(PresenceEvent::Rename, name)
        }
    }

    fn of(event: PresenceEvent, name: &Name) -> Self {
        Self {
            event,
            name: Some(name.clone()),
            was: None,
            is_urgent: false,
        }
    }

    /// The frame that tells of it.
    pub(in crate::chat) fn frame(&self, room: &Room, list: &List) -> ServerFrame {
        let shown = |name: &Option<Name>| name.as_ref().map(|it| it.shown().to_owned());
        ServerFrame::Presence {
            room: room.to_string(),
            event: self.event,
            name: shown(&self.name),
            was: shown(&self.was),
            count: list.count,
            members: listed(list, None),
            rev: list.rev,
        }
    }
}

/// A crowd's list that was announced, after a change that was not. It is older than what was announced then,
/// as any such list is (see `rev` in `list.rs`).
pub(super) fn changed(mut list: List, news: &News) -> List {
    let was = news.was.as_ref().map(|was| remove(&mut list, was));
    let is = news.name.as_ref().map(|name| match news.event {
        PresenceEvent::Leave => remove(&mut list, name),
        _ => add(&mut list, name, true),
    });
    if was == Some(true) || is == Some(true) {
        list.rev = list.rev.saturating_sub(1);
    }
    list
}
