//! The YAML writer: block style, functions as tags, and quotes around every string that some reader
//! could take for something else.
//!
//! Our own rather than `saphyr`'s, which writes for YAML 1.2 readers: CloudFormation and cfn-lint
//! read YAML 1.1, where `2012-10-17` is a date. A string is left bare only if it is plain beyond
//! doubt, so the rules here are stricter than either version's.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::intrinsic::{self, ShortForm};

/// Spaces per level.
const INDENT: usize = 2;

/// Down to this level, entries that are collections are set apart by an empty line.
const SPACED_LEVELS: usize = 2;

/// Words that YAML 1.1 or 1.2 reads as something else than a string, in any case of their letters.
const RESERVED: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Writes a value as a YAML document with a line break at its end.
pub(super) fn write(value: &Value) -> String {
    let mut writer = Writer {
        text: String::new(),
    };
    writer.node(value, 0, Place::LineStart);
    writer.text.push('\n');
    writer.text
}

/// What the current line holds already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but the indentation.
    LineStart,
    /// A `- `, after which a collection may begin right away.
    AfterDash,
    /// A `key:` or a tag, after which a collection needs a line of its own.
    AfterLabel,
}

struct Writer {
    text: String,
}

impl Writer {
    /// Writes one node without the line break after it. `level` is the node's own, should it be a
    /// collection.
    fn node(&mut self, value: &Value, level: usize, place: Place) {
        if let Some(short) = intrinsic::to_short(value) {
            self.function(&short, level, place);
            return;
        }
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                self.begin_collection(level, place);
                self.mapping(fields, level);
            }
            Value::Array(items) if !items.is_empty() => {
                self.begin_collection(level, place);
                self.sequence(items, level);
            }
            scalar => {
                self.space(place);
                self.scalar(scalar);
            }
        }
    }

    fn function(&mut self, short: &ShortForm<'_>, level: usize, place: Place) {
        self.space(place);
        self.text.push('!');
        self.text.push_str(short.tag);
        self.node(&short.argument, level, Place::AfterLabel);
    }

    fn mapping(&mut self, fields: &Map<String, Value>, level: usize) {
        for (index, (key, value)) in fields.iter().enumerate() {
            if index > 0 {
                if level < SPACED_LEVELS && is_block(value) {
                    self.text.push('\n');
                }
                self.new_line(level);
            }
            self.string(key);
            self.text.push(':');
            self.node(value, level + 1, Place::AfterLabel);
        }
    }

    fn sequence(&mut self, items: &[Value], level: usize) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.new_line(level);
            }
            self.text.push_str("- ");
            self.node(item, level + 1, Place::AfterDash);
        }
    }

    fn scalar(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.string(text),
            // Also the empty collections: what JSON writes for these is YAML as well.
            other => self.text.push_str(&other.to_string()),
        }
    }

    fn string(&mut self, text: &str) {
        if is_plain(text) {
            self.text.push_str(text);
        } else {
            self.quoted(text);
        }
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.text.extend(['\\', character]),
                '\n' => self.text.push_str("\\n"),
                '\t' => self.text.push_str("\\t"),
                '\r' => self.text.push_str("\\r"),
                other if needs_escape(other) => self.escape(other),
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }

    fn escape(&mut self, character: char) {
        // All that need it lie below 0x10000. Writing to a string cannot fail.
        let _ = write!(self.text, "\\u{:04x}", u32::from(character));
    }

    fn begin_collection(&mut self, level: usize, place: Place) {
        if place == Place::AfterLabel {
            self.new_line(level);
        }
    }

    fn new_line(&mut self, level: usize) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n(' ', level * INDENT));
    }

    fn space(&mut self, place: Place) {
        if place == Place::AfterLabel {
            self.text.push(' ');
        }
    }
}

/// Whether a value takes lines of its own.
fn is_block(value: &Value) -> bool {
    let is_collection = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    is_collection && intrinsic::to_short(value).is_none()
}

/// Whether every reader takes the bare text for this very string. Ones that begin with a digit, a
/// sign or a dot could be numbers, dates or times, and are quoted without a closer look.
fn is_plain(text: &str) -> bool {
    let begins_well = text.starts_with(|first: char| {
        first.is_ascii_alphabetic() || matches!(first, '_' | '/' | '$' | '^')
    });
    begins_well
        && text.chars().all(|it| it == ' ' || it.is_ascii_graphic())
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Characters that YAML wants escaped, or that a reader takes for the end of a line.
fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fragment::{Fragment, parse};
    use super::*;

    fn read(text: &str) -> Value {
        let fragment = Fragment {
            file: "written.yaml",
            text,
        };
        Value::Object(parse(fragment).unwrap_or_else(|error| panic!("{error:?}\n{text}")))
    }

    fn assert_round_trip(value: &Value) {
        let text = write(value);
        assert_eq!(read(&text), *value, "{text}");
    }

    /// Strings that one or another reader of YAML gets wrong when they are bare.
    #[rustfmt::skip] // A string a line would be four times as long.
    const NASTY: [&str; 79] = [
        // Spaces, and what begins or ends a node.
        "", " ", " a", "a ", "a:", "a: b", "a:b", "a::b", "a #b", "a#b", "#a", "- a", "-", "--- a",
        "---", "...", "? a", "?", ": a", ":", ",", "[a]", "]", "{a}", "}", "&a", "*a", "!a",
        "!Ref a", "|", ">", "%a", "@a", "`a`", "'a'", "\"a\"", "it's", "say \"a\"", "a\\n",
        // Line breaks, control characters and beyond ASCII.
        "a\nb", "a\n", "\n", "\t", "a\tb", "a\r\n", "\u{0}", "\u{7f}", "\u{85}", "\u{a0}",
        "\u{2028}", "\u{feff}a", "\u{ffff}", "é", "🦀",
        // Other types, in YAML 1.1 or 1.2.
        "~", "<<", "=", "y", "No", "ON", "tRue", "Null", "2012-10-17", "2012-10-17T12:30:00Z",
        "12:30", "1:2:3", "0x1F", "0o7", "010", "1_000", "1", "-1", "+1", "1.5", ".5", "1e3",
        ".inf", ".NaN", "-.inf",
    ];

    #[test]
    fn nasty_strings_come_back_as_values_keys_items_and_arguments() {
        for text in NASTY {
            assert_round_trip(&json!({
                "value": text,
                "items": [text, [text, [text]], {"key": text, text: [text]}],
                "function": {"Fn::Sub": text},
                "argument": {"Fn::Join": [text, [{"Fn::Sub": [text, {text: text}]}]]},
            }));
        }
    }

    #[test]
    fn what_yaml_1_1_misreads_is_quoted() {
        for text in [
            "yes",
            "Off",
            "y",
            "2012-10-17",
            "12:30",
            "010",
            "1_000",
            "7",
            "~",
            "",
        ] {
            assert_eq!(write(&json!(text)), format!("\"{text}\"\n"));
        }
    }

    #[test]
    fn plain_strings_stay_bare() {
        let plain = [
            "AWS::DynamoDB::Table",
            "dynamodb:PutItem",
            "$request.body.type",
            "https://${Api}.example.com/",
            "default-src 'none'; img-src 'self' data:; frame-ancestors 'none'",
            "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        ];
        for text in plain {
            assert_eq!(write(&json!({"k": text})), format!("k: {text}\n"));
            assert_round_trip(&json!({"k": text}));
        }
    }

    #[test]
    fn numbers_booleans_and_empty_collections_come_back() {
        assert_round_trip(&json!({
            "a": 0, "b": -7, "c": 1.5, "d": true, "e": false, "f": [], "g": {}, "h": [[], {}],
            "i": i64::MAX
        }));
    }

    #[test]
    fn functions_are_written_as_tags_wherever_they_stand() {
        let value = json!({
            "Properties": {
                "Arn": {"Fn::GetAtt": ["Table", "Arn"]},
                "List": [{"Ref": "A"}, {"Fn::Sub": "${A}-b"}],
                "Choice": {"Fn::If": ["C", {"K": 1}, {"Ref": "AWS::NoValue"}]},
                "Data": {"Fn::Base64": {"Fn::Sub": "${A}"}},
            }
        });
        let expected = "\
Properties:
  Arn: !GetAtt Table.Arn

  List:
    - !Ref A
    - !Sub ${A}-b
  Choice: !If
    - C
    - K: 1
    - !Ref AWS::NoValue

  Data:
    Fn::Base64: !Sub ${A}
";
        assert_eq!(write(&value), expected);
        assert_round_trip(&value);
    }

    #[test]
    fn lists_of_lists_and_of_mappings_are_indented_so_that_they_come_back() {
        let value = json!({"a": [[1, [2, 3]], {"b": [{"c": {"d": [4]}}], "e": {"f": 5}}]});
        let expected = "\
a:
  - - 1
    - - 2
      - 3
  - b:
      - c:
          d:
            - 4
    e:
      f: 5
";
        assert_eq!(write(&value), expected);
        assert_round_trip(&value);
    }
}
