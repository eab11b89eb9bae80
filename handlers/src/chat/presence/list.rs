//! The list of members: read of a room, with one name more or less, and compared with the one announced last.

use std::borrow::Borrow;

use sha2::{Digest, Sha256};

use crate::chat::Name;
use crate::chat::identity::hex;
use crate::ports::{Head, List, Member, View};
use crate::protocol::MEMBERS_LISTED_MAX;

/// The names in a room, sorted.
pub(super) fn names(view: &View) -> Vec<&Name> {
    names_of(&view.members)
}

/// The names of some members, sorted.
fn names_of<M: Borrow<Member>>(members: &[M]) -> Vec<&Name> {
    let names = members.iter().map(Borrow::borrow);
    let mut names: Vec<&Name> = names.filter_map(|it| it.name.as_ref()).collect();
    names.sort_by_key(|name| name.key());
    names
}

/// The list of all members, as it is told.
pub(super) fn list_of(view: &View) -> List {
    let names = names(view);
    List {
        rev: rev(view),
        count: names.len(),
        names: names
            .into_iter()
            .take(MEMBERS_LISTED_MAX)
            .cloned()
            .collect(),
    }
}

/// Puts a name into its place: whether it was not there. `is_new` says so of one that may be among those
/// who are counted and not listed.
pub(super) fn add(list: &mut List, name: &Name, is_new: bool) -> bool {
    let is_whole = list.names.len() == list.count;
    match list.names.binary_search_by_key(&name.key(), Name::key) {
        Err(place) if is_whole || is_new => {
            list.count += 1;
            if is_whole || place < list.names.len() {
                list.names.insert(place, name.clone());
                list.names.truncate(MEMBERS_LISTED_MAX);
            }
            true
        }
        _ => false,
    }
}

/// Takes a name away, or one of those who are counted and not listed: whether it may have been there.
pub(super) fn remove(list: &mut List, name: &Name) -> bool {
    let place = list.names.binary_search_by_key(&name.key(), Name::key);
    let may_be_there = place.is_ok() || list.names.len() < list.count;
    if let Ok(place) = place {
        list.names.remove(place);
    }
    list.count -= usize::from(may_be_there);
    may_be_there
}

/// A list with somebody on it who is there for certain.
pub(in crate::chat) fn with(mut list: List, own: &Name) -> List {
    add(&mut list, own, false);
    list
}

/// The names of a list, and the own one among them even in a long list.
pub(in crate::chat) fn listed(list: &List, own: Option<&Name>) -> Vec<String> {
    let mut listed: Vec<&Name> = list.names.iter().collect();
    if let Some(own) = own
        && !listed.iter().any(|name| name.key() == own.key())
    {
        if listed.len() == MEMBERS_LISTED_MAX {
            listed.pop();
        }
        listed.push(own);
    }
    let shown = listed.into_iter().map(|name| name.shown().to_owned());
    shown.collect()
}

/// Which state of the list a view has. A list that was not announced is given out as older than what
/// was: should it be the announced one again before anybody announces it, then nobody will, and only
/// the `rev` of a `pong` tells who has it that it is not right.
fn rev(view: &View) -> u64 {
    let rev = view.head.as_ref().map_or(0, |head| head.rev);
    if is_announced(view) {
        rev
    } else {
        rev.saturating_sub(1)
    }
}

/// What a list of members comes to: the same only for the same names.
pub(super) fn roster(names: &[&Name]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let mut digest = Sha256::new();
    for name in names {
        digest.update(name.shown());
        // In no name.
        digest.update("\n");
    }
    hex(&digest.finalize()[..8])
}

/// Whether the list is the one that was announced last.
pub(super) fn is_announced(view: &View) -> bool {
    is_of(view.head.as_ref(), &view.members)
}

/// Whether these, all members of a room, are the list that was announced last.
pub(in crate::chat) fn is_of<M: Borrow<Member>>(head: Option<&Head>, members: &[M]) -> bool {
    head.is_none_or(|head| head.roster == roster(&names_of(members)))
}
