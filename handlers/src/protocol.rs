//! The frames on the wire, as `PROTOCOL.md` describes them: shapes and their reading and writing,
//! no rules.

mod server;

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

pub use server::{
    Code, FRAME_BYTES_MAX, MEMBERS_LISTED_MAX, PresenceEvent, Refusal, Said, ServerFrame,
};

use crate::ports::Part;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Say something in the room the connection is in.
    Message {
        /// In the lobby, the name of a connection that has none yet.
        from: Option<String>,
        /// Where the sender believes to be.
        room: Option<String>,
        /// What the sender calls the message, so that it can be sent again without being said twice.
        id: Option<String>,
        /// What is said.
        text: String,
    },
    /// Make a room and move there.
    Create {
        /// The name to have there.
        name: String,
    },
    /// Move to a room.
    Join {
        /// Its code as a person typed it, or `lobby`.
        room: String,
        /// The name to have there.
        name: String,
        /// The newest message that the client has of it.
        after: Option<u64>,
        /// The secret of an earlier `joined`, to be the same member again.
        resume: Option<String>,
    },
    /// Go back to the lobby.
    Leave,
    /// Put somebody out of the room.
    Remove {
        /// What they are called there.
        name: String,
    },
    /// Be called something else where one is.
    Rename {
        /// The new name.
        name: String,
    },
    /// Show what was said before.
    History {
        /// Which part; the newest messages without one.
        part: Option<Part>,
        /// How many messages at most.
        limit: Option<u64>,
    },
    /// Let the others know that a message is being written.
    Typing,
    /// Show that the connection lives.
    Ping,
}

impl ClientFrame {
    /// Its `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Create { .. } => "create",
            Self::Join { .. } => "join",
            Self::Leave => "leave",
            Self::Remove { .. } => "remove",
            Self::Rename { .. } => "rename",
            Self::History { .. } => "history",
            Self::Typing => "typing",
            Self::Ping => "ping",
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// A [`Refusal`] that says what to send: `bad-json`, `bad-type` or `bad-field`.
    pub fn parse(frame: &str) -> Result<Self, Refusal> {
        let Fields(fields) = serde_json::from_str(frame).map_err(|_| {
            Refusal::new(
                Code::BadJson,
                r#"send one JSON object a frame, each field once, such as {"type":"message","from":"ann","text":"hi"}"#,
            )
        })?;
        let kind = match fields.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            _ => return Err(bad_type("the frame has no `type`")),
        };
        Ok(match kind {
            "message" => Self::Message {
                from: optional(&fields, "from")?,
                room: optional(&fields, "room")?,
                id: optional(&fields, "id")?,
                text: required(&fields, kind, "text")?,
            },
            "create" => Self::Create {
                name: required(&fields, kind, "name")?,
            },
            "join" => Self::Join {
                room: required(&fields, kind, "room")?,
                name: required(&fields, kind, "name")?,
                after: number(&fields, "after")?,
                resume: optional(&fields, "resume")?,
            },
            "leave" => Self::Leave,
            "remove" => Self::Remove {
                name: required(&fields, kind, "name")?,
            },
            "rename" => Self::Rename {
                name: required(&fields, kind, "name")?,
            },
            "history" => Self::History {
                part: part(&fields)?,
                limit: number(&fields, "limit")?,
            },
            "typing" => Self::Typing,
            "ping" => Self::Ping,
            other => {
                return Err(bad_type(&format!(
                    "`{}` is no known `type`",
                    excerpt(other)
                )));
            }
        })
    }
}

/// A frame's fields, each once: of two of a name one reader takes the first and another the last, so what
/// the one has checked the other does not do.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = object.next_entry::<String, Value>()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a field is given twice"));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn bad_type(problem: &str) -> Refusal {
    Refusal::new(
        Code::BadType,
        format!(
            "{problem}; send one of `message`, `create`, `join`, `leave`, `remove`, `rename`, \
             `history`, `typing`, `ping` as a string in `type`"
        ),
    )
}

fn optional(fields: &Map<String, Value>, field: &str) -> Result<Option<String>, Refusal> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.clone())),
        Some(_) => Err(Refusal::new(
            Code::BadField,
            format!("send `{field}` as a string"),
        )),
    }
}

fn number(fields: &Map<String, Value>, field: &str) -> Result<Option<u64>, Refusal> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| {
            Refusal::new(
                Code::BadField,
                format!("send `{field}` as a whole number from 0"),
            )
        }),
    }
}

fn part(fields: &Map<String, Value>) -> Result<Option<Part>, Refusal> {
    match (number(fields, "before")?, number(fields, "after")?) {
        (Some(_), Some(_)) => Err(Refusal::new(
            Code::BadField,
            "send `before` or `after`, not both",
        )),
        (Some(before), None) => Ok(Some(Part::Before(before))),
        (None, after) => Ok(after.map(Part::After)),
    }
}

fn required(fields: &Map<String, Value>, kind: &str, field: &str) -> Result<String, Refusal> {
    optional(fields, field)?.ok_or_else(|| {
        Refusal::new(
            Code::BadField,
            format!("a `{kind}` frame needs `{field}`, a string"),
        )
    })
}

/// The beginning of something a client sent, short enough to send back.
fn excerpt(text: &str) -> String {
    const SHOWN_MAX: usize = 32;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(frame: &str) -> Code {
        ClientFrame::parse(frame).expect_err(frame).code
    }

    #[test]
    fn every_kind_of_frame_is_read() {
        let text = |text: &str| text.to_owned();
        let cases = [
            (
                r#"{"type":"message","from":"ann","room":"lobby","text":"hi"}"#,
                ClientFrame::Message {
                    from: Some(text("ann")),
                    room: Some(text("lobby")),
                    id: None,
                    text: text("hi"),
                },
            ),
            (
                r#"{"type":"message","text":"hi","from":null,"id":"m1","unknown":[1]}"#,
                ClientFrame::Message {
                    from: None,
                    room: None,
                    id: Some(text("m1")),
                    text: text("hi"),
                },
            ),
            (
                r#"{"type":"create","name":"ann"}"#,
                ClientFrame::Create { name: text("ann") },
            ),
            (
                r#"{"type":"join","room":"abc","name":"bob"}"#,
                ClientFrame::Join {
                    room: text("abc"),
                    name: text("bob"),
                    after: None,
                    resume: None,
                },
            ),
            (
                r#"{"type":"join","room":"abc","name":"bob","after":7,"resume":"x"}"#,
                ClientFrame::Join {
                    room: text("abc"),
                    name: text("bob"),
                    after: Some(7),
                    resume: Some(text("x")),
                },
            ),
            (
                r#"{"type":"rename","name":"bo"}"#,
                ClientFrame::Rename { name: text("bo") },
            ),
            (
                r#"{"type":"remove","name":"bob"}"#,
                ClientFrame::Remove { name: text("bob") },
            ),
            (
                r#"{"type":"history"}"#,
                ClientFrame::History {
                    part: None,
                    limit: None,
                },
            ),
            (
                r#"{"type":"history","before":9,"limit":3}"#,
                ClientFrame::History {
                    part: Some(Part::Before(9)),
                    limit: Some(3),
                },
            ),
            (
                r#"{"type":"history","after":0}"#,
                ClientFrame::History {
                    part: Some(Part::After(0)),
                    limit: None,
                },
            ),
            (r#"{"type":"typing"}"#, ClientFrame::Typing),
            (r#"{"type":"leave"}"#, ClientFrame::Leave),
            (r#" {"type":"ping"} "#, ClientFrame::Ping),
        ];
        for (frame, expected) in cases {
            assert_eq!(ClientFrame::parse(frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn what_is_not_a_json_object_is_bad_json() {
        for frame in [
            "",
            "hi",
            "[]",
            "1",
            "null",
            "\"ping\"",
            "{",
            r#"{"type":"ping"}{}"#,
            // What two readers would read in two ways.
            r#"{"type":"ping","type":"leave"}"#,
            r#"{"type":"message","text":"a","te\u0078t":"b"}"#,
            r#"{"type":"ping","unknown":1,"unknown":1}"#,
            // Halves of a character, a number beyond all, characters that have to be escaped, bytes that are none.
            r#"{"type":"message","text":"\ud800"}"#,
            r#"{"type":"message","text":"\udc00\ud800"}"#,
            r#"{"type":"message","text":"\ud83d x"}"#,
            r#"{"type":"ping","x":1e999}"#,
            "{\"type\":\"message\",\"text\":\"a\nb\"}",
            "{\"type\":\"message\",\"text\":\"a\u{0}b\"}",
            "\u{feff}{\"type\":\"ping\"}",
            r"{'type':'ping'}",
            r#"{"type":"ping",}"#,
            r#"{"type":"ping","x":NaN}"#,
        ] {
            assert_eq!(code(frame), Code::BadJson, "{frame}");
        }
    }

    #[test]
    fn what_is_nested_is_ignored_up_to_a_depth_and_refused_beyond_it() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"type":"ping","x":{open}{close}}}"#)
        };
        assert_eq!(ClientFrame::parse(&nested(100)), Ok(ClientFrame::Ping));
        // As much as API Gateway passes on.
        for depth in [200, 60_000] {
            assert_eq!(code(&nested(depth)), Code::BadJson, "{depth}");
        }
        let objects = r#"{"x":"#.repeat(20_000);
        assert_eq!(code(&objects), Code::BadJson);
        let same = r#"{"type":"ping","x":{"a":1,"a":2}}"#;
        assert_eq!(
            ClientFrame::parse(same),
            Ok(ClientFrame::Ping),
            "nobody reads it"
        );
    }

    #[test]
    fn an_escaped_character_is_the_character() {
        let frame = r#"{"t\u0079pe":"message","text":"\ud83d\ude00\u0000\u202e"}"#;
        let expected = "\u{1f600}\u{0}\u{202e}".to_owned();
        let read = ClientFrame::parse(frame);
        assert!(matches!(read, Ok(ClientFrame::Message { text, .. }) if text == expected));
    }

    #[test]
    fn a_missing_or_unknown_type_is_bad_type_and_lists_the_known_ones() {
        for frame in [
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"shout"}"#,
            r#"{"type":"Ping"}"#,
        ] {
            let refusal = ClientFrame::parse(frame).expect_err(frame);
            assert_eq!(refusal.code, Code::BadType, "{frame}");
            assert!(refusal.message.contains("`join`"), "{}", refusal.message);
        }
    }

    #[test]
    fn an_unknown_type_is_quoted_but_never_at_length() {
        let frame = format!(r#"{{"type":"{}"}}"#, "x".repeat(10_000));
        let refusal = ClientFrame::parse(&frame).expect_err("unknown type");
        assert!(refusal.message.len() < 300, "{}", refusal.message);
    }

    #[test]
    fn a_missing_or_mistyped_field_is_named() {
        let cases = [
            (r#"{"type":"message"}"#, "`text`"),
            (r#"{"type":"message","text":1}"#, "`text`"),
            (r#"{"type":"message","text":"hi","from":{}}"#, "`from`"),
            (r#"{"type":"create"}"#, "`name`"),
            (r#"{"type":"join","name":"bob"}"#, "`room`"),
            (r#"{"type":"join","room":"abc","name":null}"#, "`name`"),
            (
                r#"{"type":"join","room":"abc","name":"b","after":-1}"#,
                "`after`",
            ),
            (
                r#"{"type":"join","room":"abc","name":"b","resume":1}"#,
                "`resume`",
            ),
            (r#"{"type":"rename"}"#, "`name`"),
            (r#"{"type":"remove"}"#, "`name`"),
            (r#"{"type":"remove","name":["bob"]}"#, "`name`"),
            // Numbers that no whole one of 64 bits is.
            (
                r#"{"type":"history","after":18446744073709551616}"#,
                "`after`",
            ),
            (r#"{"type":"history","limit":1e3}"#, "`limit`"),
            (r#"{"type":"history","before":-0}"#, "`before`"),
            (
                r#"{"type":"history","before":123456789012345678901234567890}"#,
                "`before`",
            ),
            (r#"{"type":"history","before":1.5}"#, "`before`"),
            (r#"{"type":"history","limit":"9"}"#, "`limit`"),
            (r#"{"type":"history","before":1,"after":1}"#, "not both"),
            (r#"{"type":"message","text":"hi","id":1}"#, "`id`"),
        ];
        for (frame, field) in cases {
            let refusal = ClientFrame::parse(frame).expect_err(frame);
            assert_eq!(refusal.code, Code::BadField, "{frame}");
            assert!(
                refusal.message.contains(field),
                "{frame}: {}",
                refusal.message
            );
        }
    }

    #[test]
    fn an_error_frame_carries_its_code_in_kebab_case() {
        let frame = ServerFrame::Error(Refusal::new(Code::NoSuchRoom, "no"));
        assert_eq!(
            frame.to_json(),
            r#"{"type":"error","code":"no-such-room","message":"no"}"#
        );
    }

    /// Numbers that repeat (xorshift64*).
    fn draw(state: &mut u64, limit: usize) -> usize {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        let drawn = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).expect("31 bits") % limit
    }

    /// Good frames, with bytes changed, cut out and put in, also from one another.
    fn parse_mutated(inputs: usize, mut state: u64) -> usize {
        let seeds = [
            r#"{"type":"message","room":"lobby","id":"1","from":"ann","text":"h\u00e9 \ud83d\ude00"}"#,
            r#"{"type":"join","room":"7K3M9-QX2TB","name":"bob","after":41,"resume":"0123456789ABCDEFGHJKMNPQRS"}"#,
            r#"{"type":"history","before":42,"limit":18446744073709551615}"#,
            r#"{"type":"create","name":"a","x":[{"y":[null,true,-1.5e308]}]}"#,
            r#"{"type":"rename","name":"\u202e"}"#,
            r#"{"type":"typing"}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"leave"}"#,
        ];
        let pieces: [&[u8]; 8] = [
            b"{",
            b"}",
            b"\"",
            b"\\u",
            b"1e999",
            b"[",
            b"null",
            b"\xff\xfe",
        ];
        let mut read = 0;
        for _ in 0..inputs {
            let mut bytes = seeds[draw(&mut state, seeds.len())].as_bytes().to_vec();
            for _ in 0..=draw(&mut state, 4) {
                let place = draw(&mut state, bytes.len() + 1);
                match draw(&mut state, 4) {
                    0 if place < bytes.len() => {
                        bytes[place] = u8::try_from(draw(&mut state, 256)).expect("a byte");
                    }
                    1 => bytes.truncate(place),
                    2 => {
                        let piece = pieces[draw(&mut state, pieces.len())];
                        bytes.splice(place..place, piece.iter().copied());
                    }
                    _ => {
                        let other = seeds[draw(&mut state, seeds.len())].as_bytes();
                        let from = draw(&mut state, other.len());
                        bytes.splice(place.., other[from..].iter().copied());
                    }
                }
            }
            // API Gateway passes on text alone.
            match ClientFrame::parse(&String::from_utf8_lossy(&bytes)) {
                Ok(_) => read += 1,
                Err(refusal) => assert!(refusal.message.len() < 300, "{refusal:?}"),
            }
        }
        read
    }

    #[test]
    fn any_bytes_are_a_frame_or_a_short_refusal() {
        let read = parse_mutated(50_000, 1);
        assert!((1_000..49_000).contains(&read), "{read}");
    }

    #[test]
    #[ignore = "takes minutes: `cargo test -p handlers --lib -- --ignored ten_million`"]
    fn ten_million_inputs_are_frames_or_short_refusals() {
        let read = parse_mutated(10_000_000, 2);
        assert!(read > 100_000, "{read}");
    }
}
