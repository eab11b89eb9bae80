//! What others wrote, made harmless: AWS's answers, log lines, names of files and values of variables end
//! up on a terminal, and could move its cursor, change its title, hide text or turn it round.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether colours of ours are in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// They are, and stay.
    Kept,
    /// Nothing in it is ours.
    None,
}

/// A text without anything that commands a terminal, but for the ends of its lines and tabs. What does is
/// shown as JSON would have it, so that in a JSON text it stays what it was.
pub(super) fn harmless(text: &str, colours: Colours) -> Cow<'_, str> {
    if !text.chars().any(commands) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(commands) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let colour = match colours {
            Colours::Kept => length_of_colour(rest),
            Colours::None => None,
        };
        let length = if let Some(length) = colour {
            shown.push_str(&rest[..length]);
            length
        } else {
            let character = rest.chars().next().unwrap_or_default();
            // Writing to a string does not fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
            character.len_utf8()
        };
        rest = &rest[length..];
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Whether a character does something else than being seen.
fn commands(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // Which way text runs, and lines that only some programs end there.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        _ => character.is_control(),
    }
}

/// How long the command for a colour or a weight is that a text begins with.
fn length_of_colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|it: char| !it.is_ascii_digit() && it != ';')?;
    parameters[end..].starts_with('m').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown_instead() {
        for (text, expected) in [
            (
                "all is well\n\tsaid ümläut 日本 👩‍🚀",
                "all is well\n\tsaid ümläut 日本 👩‍🚀",
            ),
            ("\u{1b}]0;title\u{7}x", "\\u001b]0;title\\u0007x"),
            ("\u{1b}[2J\u{1b}[1;1H", "\\u001b[2J\\u001b[1;1H"),
            ("\u{9b}31mred", "\\u009b31mred"),
            ("over\rwritten\u{8}", "over\\u000dwritten\\u0008"),
            ("nul\0del\u{7f}", "nul\\u0000del\\u007f"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u202eb\\u2066c\\u200f"),
            ("\u{1b}[31mred\u{1b}[0m", "\\u001b[31mred\\u001b[0m"),
        ] {
            assert_eq!(harmless(text, Colours::None), expected, "{text:?}");
        }
    }

    #[test]
    fn colours_of_ours_stay_and_nothing_that_begins_like_them() {
        for (text, expected) in [
            (
                "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m x",
                "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m x",
            ),
            ("\u{1b}[38;5;1mx", "\u{1b}[38;5;1mx"),
            ("\u{1b}[2Jx", "\\u001b[2Jx"),
            ("\u{1b}[?25lx", "\\u001b[?25lx"),
            ("\u{1b}[31", "\\u001b[31"),
            ("\u{1b}", "\\u001b"),
        ] {
            assert_eq!(harmless(text, Colours::Kept), expected, "{text:?}");
        }
    }

    #[test]
    fn json_stays_what_it_was() {
        let value = serde_json::json!({"text": "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\r\n\"\\"});
        let printed = value.to_string();
        let shown = harmless(&printed, Colours::None);
        assert_ne!(shown, printed);
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }
}
