//! What a member sent and got, for whoever has to find out what went wrong.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Lines of a trace at most.
const LINES_MAX: usize = 4_000;

/// What a member sent and got, its newest lines.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<VecDeque<String>>>);

impl Trace {
    pub(super) fn tell(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The last `count` lines with one of the words, or any, in them.
    #[must_use]
    pub fn lines_about(&self, words: &[String], count: usize) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let about = |line: &&String| words.is_empty() || words.iter().any(|it| line.contains(it));
        let mut last: Vec<String> = lines
            .iter()
            .rev()
            .filter(about)
            .take(count)
            .cloned()
            .collect();
        last.reverse();
        last
    }
}

/// A frame in a line, with `#seq ` for each message in it, and without texts.
pub(super) fn brief(frame: &Value) -> String {
    let place = |it: &Value| format!("#{} {}", it["seq"], it["id"].as_str().unwrap_or_default());
    match frame["type"].as_str() {
        Some("message") if frame["seq"].is_null() => format!("message {}", frame["id"]),
        Some("message") => format!("message {}", place(frame)),
        Some(kind @ ("joined" | "history")) => {
            let places = frame["messages"]
                .as_array()
                .into_iter()
                .flatten()
                .map(place);
            let places = places.collect::<Vec<_>>().join(", ");
            let (seq, rev) = (&frame["seq"], &frame["rev"]);
            format!("{kind} seq {seq} rev {rev} {} [{places}]", frame["members"])
        }
        _ => frame.to_string(),
    }
}
