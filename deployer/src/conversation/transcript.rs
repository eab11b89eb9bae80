//! What was sent and received, by whom and when. Nothing is in it that is not for everybody's eyes:
//! neither a `resume` nor what others say in the lobby.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Entries that are kept, the last ones.
const ENTRIES_MAX: usize = 60;

/// Characters of a string that are shown.
const SHOWN_MAX: usize = 40;

/// Characters of what is no frame that are shown.
const TEXT_MAX: usize = 200;

/// Columns before a frame: the time, the name, the direction.
const MARGIN: usize = 16;

/// What was sent and received, shared by all that do so.
#[derive(Debug, Clone)]
pub(crate) struct Transcript(Arc<Mutex<Record>>);

#[derive(Debug)]
struct Record {
    since: Instant,
    entries: VecDeque<Entry>,
    earlier: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    who: &'static str,
    what: What,
    frame: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Sent,
    Received,
    /// What became of the socket.
    Happened,
}

impl What {
    fn sign(self) -> char {
        match self {
            Self::Sent => '>',
            Self::Received => '<',
            Self::Happened => '-',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Happened => "happened",
        }
    }
}

impl Transcript {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Record {
            since: Instant::now(),
            entries: VecDeque::new(),
            earlier: 0,
            is_closed: false,
        })))
    }

    pub(super) fn sent(&self, who: &'static str, text: &str) {
        self.add(who, What::Sent, shown_text(text));
    }

    pub(super) fn received(&self, who: &'static str, text: &str) {
        self.add(who, What::Received, shown_text(text));
    }

    pub(super) fn happened(&self, who: &'static str, what: &str) {
        self.add(who, What::Happened, what.into());
    }

    /// What comes from now on is not part of it.
    pub(super) fn close(&self) {
        self.with(|record| record.is_closed = true);
    }

    fn add(&self, who: &'static str, what: What, frame: Value) {
        self.with(|record| {
            if record.is_closed {
                return;
            }
            let at = record.since.elapsed();
            record.entries.push_back(Entry {
                at,
                who,
                what,
                frame,
            });
            if record.entries.len() > ENTRIES_MAX {
                record.entries.pop_front();
                record.earlier += 1;
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Record) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// For people, no line wider than `columns`.
    pub(crate) fn lines(&self, columns: usize) -> Vec<String> {
        self.with(|record| {
            let earlier = (record.earlier > 0).then(|| format!("  … {} earlier", record.earlier));
            let entries = record.entries.iter().flat_map(|it| it.lines(columns));
            earlier.into_iter().chain(entries).collect()
        })
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        self.with(|record| record.entries.iter().map(Entry::json).collect())
    }
}

impl Entry {
    fn lines(&self, columns: usize) -> Vec<String> {
        let text = match (&self.what, &self.frame) {
            (What::Happened, Value::String(text)) => text.clone(),
            (_, Value::Object(fields)) => type_first(fields),
            (_, other) => other.to_string(),
        };
        let head = format!(
            "{:>7.3} s {:>4} {} ",
            self.at.as_secs_f64(),
            self.who,
            self.what.sign()
        );
        let parts = parts(&text, columns.saturating_sub(MARGIN).max(20));
        let lines = parts.into_iter().enumerate().map(|(number, part)| {
            let margin = if number == 0 { head.as_str() } else { "" };
            format!("{margin:<MARGIN$}{part}")
        });
        lines.collect()
    }

    fn json(&self) -> Value {
        json!({
            "at_ms": u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX),
            "who": self.who,
            "what": self.what.word(),
            "frame": self.frame,
        })
    }
}

/// A text in parts that are not longer than `most`, which end with a comma where one is near.
fn parts(text: &str, most: usize) -> Vec<String> {
    let mut left: Vec<char> = text.chars().collect();
    let mut parts = Vec::new();
    while left.len() > most {
        let comma = left[most / 2..most].iter().rposition(|it| *it == ',');
        let end = comma.map_or(most, |place| most / 2 + place + 1);
        parts.push(left.drain(..end).collect());
    }
    parts.push(left.into_iter().collect());
    parts
}

/// What a frame is comes first, as people look for it.
fn type_first(fields: &Map<String, Value>) -> String {
    let field = |(name, value): (&String, &Value)| format!("{}:{value}", json!(name));
    let kind = fields.get_key_value("type").into_iter();
    let others = fields.iter().filter(|(name, _)| *name != "type");
    let fields: Vec<String> = kind.chain(others).map(field).collect();
    format!("{{{}}}", fields.join(","))
}

/// What is shown of a text that was sent or received.
fn shown_text(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(frame @ Value::Object(_)) => shown(&frame),
        _ => excerpt(text, TEXT_MAX).into(),
    }
}

/// What is shown of a frame.
pub(super) fn shown(frame: &Value) -> Value {
    let is_of_others = frame["room"] == "lobby";
    shown_value(frame, is_of_others)
}

fn shown_value(value: &Value, is_of_others: bool) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("text" | "from" | "name" | "was" | "members", _) if is_of_others => "…".into(),
                    ("resume", Value::String(secret)) => {
                        let begin: String = secret.chars().take(4).collect();
                        format!("{begin}…").into()
                    }
                    _ => shown_value(value, is_of_others),
                };
                (name.clone(), value)
            });
            fields.collect::<Map<_, _>>().into()
        }
        Value::Array(values) => {
            let values = values.iter().map(|it| shown_value(it, is_of_others));
            values.collect()
        }
        Value::String(text) => excerpt(text, SHOWN_MAX).into(),
        other => other.clone(),
    }
}

fn excerpt(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let begin: String = text.chars().take(most / 2).collect();
    format!("{begin}… ({count} characters)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Transcript {
        let transcript = Transcript::new();
        transcript.sent("ann", r#"{"text":"hi","type":"message"}"#);
        transcript
    }

    #[test]
    fn a_line_tells_when_who_and_which_way() {
        let transcript = transcript();
        transcript.received("bob", r#"{"seq":1,"type":"message"}"#);
        transcript.happened("bob", "closed");
        let lines = transcript.lines(80);
        let texts: Vec<_> = lines.iter().map(|it| it[9..].to_owned()).collect();
        let expected = [
            r#"  ann > {"type":"message","text":"hi"}"#,
            r#"  bob < {"type":"message","seq":1}"#,
            "  bob - closed",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn no_line_is_wider_than_it_may_be_and_nothing_is_lost() {
        let transcript = Transcript::new();
        let members: Vec<_> = (0..40).map(|it| format!("member-{it}")).collect();
        let frame = json!({"type": "presence", "members": members}).to_string();
        transcript.received("ann", &frame);
        let lines = transcript.lines(80);
        assert!(lines.len() > 5, "{lines:?}");
        assert!(lines.iter().all(|it| it.chars().count() <= 80), "{lines:?}");
        // Broken where people break it.
        assert!(lines[1].ends_with(','), "{lines:?}");
        let whole: String = lines.iter().map(|it| &it[MARGIN..]).collect();
        assert_eq!(
            serde_json::from_str::<Value>(&whole).unwrap()["members"],
            json!(members)
        );
    }

    #[test]
    fn long_texts_are_counted_and_secrets_and_others_words_are_not_shown() {
        let transcript = Transcript::new();
        for frame in [
            json!({"type": "message", "text": "x".repeat(4000)}),
            json!({"type": "joined", "resume": "0123456789ABCDEF"}),
            json!({"type": "message", "room": "lobby", "from": "eve", "text": "private"}),
            json!({"type": "history", "room": "lobby", "messages": [{"text": "private"}]}),
        ] {
            transcript.received("ann", &frame.to_string());
        }
        let all = transcript.lines(80).concat() + &transcript.json().to_string();
        for absent in ["456", "private", "eve", "xxxxxxxxxxxxxxxxxxxxxxxx"] {
            assert!(!all.contains(absent), "{absent}: {all}");
        }
        assert!(all.contains("(4000 characters)"), "{all}");
        assert!(all.contains("0123…"), "{all}");
    }

    #[test]
    fn the_last_entries_are_kept_and_the_others_counted() {
        let transcript = transcript();
        for number in 0..ENTRIES_MAX + 4 {
            transcript.happened("ann", &format!("{number}"));
        }
        transcript.close();
        transcript.happened("ann", "later");
        let lines = transcript.lines(80);
        assert_eq!(lines[0], "  … 5 earlier");
        assert_eq!(lines.len(), ENTRIES_MAX + 1);
        assert!(lines[ENTRIES_MAX].ends_with(" 63"), "{lines:?}");
    }

    #[test]
    fn what_is_no_frame_is_shown_without_its_control_characters() {
        let transcript = Transcript::new();
        transcript.received("ann", "\u{1b}[2J");
        assert!(transcript.lines(80)[0].ends_with(r#""\u001b[2J""#));
    }
}
