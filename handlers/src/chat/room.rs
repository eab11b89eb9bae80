//! Where a connection can be.

use std::fmt;

use super::RoomCode;

/// A place where what is said is heard by all who are there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Room {
    /// Where every connection is that joined nothing.
    Lobby,
    /// A room that somebody created.
    Coded(RoomCode),
}

const LOBBY: &str = "lobby";

impl Room {
    /// Reads a room as a person typed it; `None` for what cannot be one.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.trim().eq_ignore_ascii_case(LOBBY) {
            return Some(Self::Lobby);
        }
        RoomCode::parse(typed).map(Self::Coded)
    }
}

impl fmt::Display for Room {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lobby => formatter.write_str(LOBBY),
            Self::Coded(code) => code.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_reads_back_what_it_shows() {
        let coded = Room::Coded(RoomCode::from_random([7; RoomCode::RANDOM_BYTES]));
        for room in [Room::Lobby, coded] {
            assert_eq!(Room::parse(&room.to_string()), Some(room));
        }
        assert_eq!(Room::parse(" Lobby "), Some(Room::Lobby));
        assert_eq!(Room::parse("lobbies"), None);
    }
}
