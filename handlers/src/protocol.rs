//! The frames on the wire, as `PROTOCOL.md` describes them: shapes and their reading and writing,
//! no rules.

use serde::Serialize;
use serde_json::{Map, Value};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Say something in the room the connection is in.
    Message {
        /// In the lobby, the name of a connection that has none yet.
        from: Option<String>,
        /// Where the sender believes to be.
        room: Option<String>,
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
    },
    /// Go back to the lobby.
    Leave,
    /// Show that the connection lives.
    Ping,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ServerFrame {
    /// Somebody said something.
    Message {
        /// Where.
        room: String,
        /// Who, by the server's record.
        from: String,
        /// What.
        text: String,
        /// When the server took it: milliseconds since 1970-01-01 UTC.
        at: u64,
    },
    /// The connection is in a room now.
    Joined {
        /// The room's code as people read it, or `lobby`.
        room: String,
        /// The name held there.
        name: String,
        /// Names in the room, sorted, the own one among them, at most [`MEMBERS_LISTED_MAX`].
        members: Vec<String>,
        /// How many are in the room by name.
        count: usize,
    },
    /// The connection is back in the lobby.
    Left {
        /// The room it left.
        room: String,
    },
    /// The connection lives.
    Pong {
        /// The room it is in.
        room: String,
    },
    /// The frame was not carried out.
    Error(Refusal),
}

/// Names listed in a `joined` frame at most, so that it fits one 32 KB frame of API Gateway.
pub const MEMBERS_LISTED_MAX: usize = 200;

impl ServerFrame {
    /// The frame as JSON text.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "such structs always serialize")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("frames are plain structs of strings and numbers")
    }
}

/// Why a frame was not carried out, in words that the client may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people: what to send instead.
    pub message: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// The stable codes of `error` frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Not a JSON object in UTF-8.
    BadJson,
    /// `type` missing, not a string, or unknown.
    BadType,
    /// A field missing or of the wrong type.
    BadField,
    /// A text empty or too long.
    BadText,
    /// A name empty, too long, or with characters that cannot be seen.
    BadName,
    /// No room has this code.
    NoSuchRoom,
    /// Somebody in the room has this name.
    NameTaken,
    /// A first message in the lobby says not who speaks.
    NameNeeded,
    /// The connection is not in the room that a message is for.
    NotInRoom,
    /// The server has no record of the connection.
    NotConnected,
    /// It did not work just now.
    TryAgain,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::BadJson,
        Self::BadType,
        Self::BadField,
        Self::BadText,
        Self::BadName,
        Self::NoSuchRoom,
        Self::NameTaken,
        Self::NameNeeded,
        Self::NotInRoom,
        Self::NotConnected,
        Self::TryAgain,
    ];
}

impl ClientFrame {
    /// Reads a frame.
    ///
    /// # Errors
    /// A [`Refusal`] that says what to send: `bad-json`, `bad-type` or `bad-field`.
    pub fn parse(frame: &str) -> Result<Self, Refusal> {
        let fields: Map<String, Value> = serde_json::from_str(frame).map_err(|_| {
            Refusal::new(
                Code::BadJson,
                r#"send one JSON object a frame, such as {"type":"message","from":"ann","text":"hi"}"#,
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
                text: required(&fields, kind, "text")?,
            },
            "create" => Self::Create {
                name: required(&fields, kind, "name")?,
            },
            "join" => Self::Join {
                room: required(&fields, kind, "room")?,
                name: required(&fields, kind, "name")?,
            },
            "leave" => Self::Leave,
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

fn bad_type(problem: &str) -> Refusal {
    Refusal::new(
        Code::BadType,
        format!(
            "{problem}; send one of `message`, `create`, `join`, `leave`, `ping` as a string in `type`"
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
                    text: text("hi"),
                },
            ),
            (
                r#"{"type":"message","text":"hi","from":null,"unknown":[1]}"#,
                ClientFrame::Message {
                    from: None,
                    room: None,
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
                },
            ),
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
        ] {
            assert_eq!(code(frame), Code::BadJson, "{frame}");
        }
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
        assert!(refusal.message.len() < 250, "{}", refusal.message);
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
}
