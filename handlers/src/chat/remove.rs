//! Putting somebody out of a room, which its creator alone can do.
//!
//! One conditional write to the room's head *is* the removal: from then on nobody who reads the room
//! counts the member, whatever records of it are left, and a `join` with its secret finds it barred,
//! before it comes in or, if it was faster, right after. What is left is taken away then, each step of
//! which can be the last one that is done: the member's own next frame goes on with it.

use std::future::ready;

use futures_util::future::join;
use futures_util::stream;

use super::fan_out::Effort;
use super::presence::News;
use super::{Chat, Failure, Name, Room, lost_every_race, removed};
use crate::log;
use crate::ports::{Connection, ConnectionId, Frame, Head, Member, MemberId, Outbox, Store, View};
use crate::protocol::{Code, Refusal, ServerFrame};

/// How often the write is tried again. Only the same member's other `remove` is faster.
const TRIES: u32 = 8;

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Removes whoever has this name where the sender is.
    pub(super) async fn remove(
        &self,
        sender: &ConnectionId,
        name: &str,
    ) -> Result<ServerFrame, Failure> {
        let name = Name::parse(name)?;
        let creator = self.connection(sender).await?;
        for _ in 0..TRIES {
            let view = self.store.view(&creator.room, self.clock.now()).await?;
            let (head, member) = whom(&view, &creator, &name)?;
            let barred = head.barred.with(&member.id, member.subject.as_deref());
            let room = &creator.room;
            if barred == head.barred || self.store.bar(room, &head.barred, &barred).await? {
                let called = member.name.as_ref().unwrap_or(&name);
                return self.put_out(sender, room, called).await;
            }
        }
        Err(lost_every_race("remove a member", TRIES).into())
    }

    /// Takes away what those have who were removed, and tells them and the others: the member, wherever it
    /// has come back to before it was barred, and whoever else the same person is.
    async fn put_out(
        &self,
        by: &ConnectionId,
        room: &Room,
        name: &Name,
    ) -> Result<ServerFrame, Failure> {
        let view = self.store.view(room, self.clock.now()).await?;
        let is_barred = |it: &&Member| view.head.as_ref().is_some_and(|head| head.bars(it));
        let removed: Vec<&Member> = view.members.iter().filter(is_barred).collect();
        let mut left = Vec::new();
        for member in &removed {
            left.extend(self.clear(room, member).await?);
        }
        left.retain(|(other, _)| other != room);
        let frame = ServerFrame::Removed {
            room: room.to_string(),
        };
        let frame = Frame::new(frame.to_json());
        let page = stream::once(ready(removed));
        let telling = self.fan_out(room, page, &frame, Effort::Stubborn);
        join(telling, self.mourn(left)).await;
        let news = News::removed(name);
        let scene = self.tell(room, &news, Some(by)).await?;
        Ok(news.frame(room, &scene.list))
    }

    /// Goes on with a removal that ended halfway, and gives the answer to the member's own frame.
    pub(super) async fn turn_away(
        &self,
        connection: &ConnectionId,
        room: &Room,
        member: MemberId,
        name: Name,
    ) -> Failure {
        let member = Member {
            id: member,
            connection: connection.clone(),
            name: Some(name),
            subject: None,
            expires: self.clock.now(),
        };
        match self.clear(room, &member).await {
            Ok(left) => self.mourn(left).await,
            Err(error) => log::error("a removed member's records were not removed", &error),
        }
        removed().into()
    }
}

/// The member that is to be removed, if it may be.
fn whom<'a>(
    view: &'a View,
    creator: &Connection,
    name: &Name,
) -> Result<(&'a Head, &'a Member), Refusal> {
    let head = view.head.as_ref();
    let head = head.filter(|it| it.creator.as_ref() == Some(&creator.member));
    let Some(head) = head else {
        return Err(Refusal::new(
            Code::NotAllowed,
            "only a room's creator can remove somebody from it",
        ));
    };
    let is_named = |it: &&Member| it.name.as_ref().is_some_and(|it| it.key() == name.key());
    // One whose removal ended halfway is still to be found.
    let mut named: Vec<&Member> = view.members.iter().filter(is_named).collect();
    named.sort_by_key(|it| head.bars(it));
    let Some(member) = named.first() else {
        return Err(no_such_member());
    };
    // A second connection of the same person is that person.
    let is_same = member.subject.is_some() && member.subject.as_deref() == creator.subject();
    if member.id == creator.member || is_same {
        return Err(Refusal::new(
            Code::NotAllowed,
            "nobody can remove themselves; `leave` instead",
        ));
    }
    Ok((head, member))
}

fn no_such_member() -> Refusal {
    Refusal::new(
        Code::NoSuchMember,
        "nobody in this room has that name, or nobody any more",
    )
}
