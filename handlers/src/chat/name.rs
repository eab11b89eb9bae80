//! Names: what people are called in a room, and when two names are the same.

use unicode_normalization::UnicodeNormalization;

use crate::protocol::{Code, Refusal};

/// Characters of a name at most.
pub const NAME_CHARS_MAX: usize = 32;

/// Compatibility normalization can make one character eighteen; DynamoDB takes 1,024 bytes of sort
/// key (its Developer Guide, “Constraints”), so a key stays well below.
const KEY_BYTES_MAX: usize = 512;

/// A name that may be shown to others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    shown: String,
    key: String,
}

impl Name {
    /// Reads a name as a client sent it; surrounding white space is dropped.
    ///
    /// # Errors
    /// A `bad-name` [`Refusal`] for a name that is empty, longer than [`NAME_CHARS_MAX`] characters,
    /// or has control or invisible characters, by which one could pass for another.
    pub fn parse(sent: &str) -> Result<Self, Refusal> {
        let shown: String = sent.trim().nfc().collect();
        let problem = if shown.is_empty() {
            "the name is empty"
        } else if shown.chars().count() > NAME_CHARS_MAX {
            "the name is too long"
        } else if shown.chars().any(is_unseen) {
            "the name has control or invisible characters"
        } else {
            let key = fold(&shown);
            // Variation selectors alone, say.
            if key.is_empty() {
                "the name is empty"
            } else if key.len() > KEY_BYTES_MAX {
                "the name is too long"
            } else {
                return Ok(Self { shown, key });
            }
        };
        Err(Refusal::new(
            Code::BadName,
            format!("{problem}; send 1 to {NAME_CHARS_MAX} visible characters"),
        ))
    }

    /// The nearest name to what somebody is called elsewhere, where other rules hold: without what cannot be
    /// seen, and its beginning where it is too long; `None` where nothing is left.
    #[must_use]
    pub fn near(text: &str) -> Option<Self> {
        let seen = |it: char| if it.is_whitespace() { ' ' } else { it };
        let visible = text.chars().map(seen).filter(|it| !is_unseen(*it));
        let shown: String = visible.nfc().collect();
        let words: Vec<_> = shown.split_whitespace().collect();
        let shown = words.join(" ");
        let most = shown.chars().count().min(NAME_CHARS_MAX);
        // A few characters are many in their compatibility form.
        let lengths = (1..=most).rev();
        let mut beginnings = lengths.map(|it| shown.chars().take(it).collect::<String>());
        beginnings.find_map(|it| Self::parse(&it).ok())
    }

    /// A name that was read before and kept.
    #[must_use]
    pub fn recorded(shown: String) -> Self {
        let key = fold(&shown);
        Self { shown, key }
    }

    /// The name as people see it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What two names must differ in: what is left of them without regard to case and compatibility forms.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// This name with a number, shortened where it would get too long: `ann-2`.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Self {
        Self::recorded(format!("{}-{number}", self.stem()))
    }

    /// What the keys of all of this name's numbered forms start with.
    #[must_use]
    pub fn numbered_key_prefix(&self) -> String {
        fold(&self.stem()) + "-"
    }

    /// What is left of the name where a hyphen and a number of up to [`NUMBER_DIGITS`] follow.
    fn stem(&self) -> String {
        self.shown
            .chars()
            .take(NAME_CHARS_MAX - 1 - NUMBER_DIGITS)
            .collect()
    }
}

/// Room for the number of a numbered name.
const NUMBER_DIGITS: usize = 6;

/// The greatest number that fits.
pub(super) const NUMBER_MAX: usize = 999_999;

/// What reads the same becomes the same: compatibility forms, case, variation selectors (which choose
/// between two looks of one character), and any white space.
///
/// Some letters are two in lower case and one in upper case, or more than one: `ς` and `σ` are `Σ`,
/// `ß` and `ẞ` are `SS`. So upper case is gone through, except for the Turkish `ı`, which is no `i`.
fn fold(shown: &str) -> String {
    let lower = shown.nfkc().flat_map(char::to_lowercase);
    let upper = lower.flat_map(|it| {
        let dotless = (it == 'ı').then_some(it);
        let other = (it != 'ı').then(|| it.to_uppercase());
        dotless.into_iter().chain(other.into_iter().flatten())
    });
    let plain = upper.flat_map(char::to_lowercase).nfkc();
    let plain: String = plain
        .filter(|it| !matches!(it, '\u{FE00}'..='\u{FE0F}'))
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Control characters, and those that change how a name reads without being seen: soft hyphen, zero
/// width and filling characters, line and paragraph separators, direction marks, the byte order mark,
/// annotation, shorthand, hieroglyphic and musical controls, what stands for an object, tags.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{AD}'
                | '\u{34F}'
                | '\u{61C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFFC}'
                | '\u{13430}'..='\u{1343F}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(sent: &str) -> Name {
        Name::parse(sent).expect(sent)
    }

    #[test]
    fn names_that_read_the_same_have_one_key() {
        for (one, other) in [
            ("Ann", "ann"),
            ("ＡＮＮ", "ann"),
            ("Zoé", "zoe\u{301}"),
            ("ÄNNE", "änne"),
            (" bo ", "bo"),
            ("ann\u{fe00}", "ann"),
            ("ann  lee", "Ann Lee"),
            ("Οδυσσεύς", "ΟΔΥΣΣΕΎΣ"),
            ("Weiß", "WEISS"),
            ("ẞ", "ß"),
        ] {
            assert_eq!(name(one).key(), name(other).key(), "{one} {other}");
        }
        assert_ne!(name("ann").key(), name("anna").key());
        assert_ne!(name("Işıl").key(), name("Işil").key());
    }

    #[test]
    fn the_shown_name_keeps_its_case_and_loses_surrounding_space() {
        assert_eq!(name("  Ann Lee ").shown(), "Ann Lee");
    }

    #[test]
    fn empty_long_and_invisible_names_are_refused() {
        let too_long = "x".repeat(33);
        for sent in [
            "",
            "  ",
            "a\u{0}b",
            "a\nb",
            "an\u{200d}n",
            "a\u{202e}b",
            "\u{feff}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{fe00}\u{fe0f}",
            "a\u{7f}b",
            "a\u{85}b",
            "a\u{61c}b",
            "a\u{200e}b",
            "a\u{2066}b",
            "a\u{2069}b",
            "a\u{ad}b",
            "a\u{fffc}b",
            "a\u{1bca0}b",
            "a\u{13430}b",
            "a\u{e0041}b",
            &too_long,
            &"x".repeat(120_000),
        ] {
            assert_eq!(
                Name::parse(sent).expect_err(sent).code,
                Code::BadName,
                "{sent:?}"
            );
        }
        assert_eq!(name(&"é".repeat(32)).shown().chars().count(), 32);
    }

    #[test]
    fn whatever_somebody_is_called_elsewhere_the_nearest_name_is_one() {
        for (called, nearest) in [
            ("Ann Lee", "Ann Lee"),
            ("  Ann\t\nLee ", "Ann Lee"),
            ("an\u{200d}n\u{202e}", "ann"),
            ("Zoe\u{301}", "Zo\u{e9}"),
            ("\u{fffd}", "\u{fffd}"),
        ] {
            assert_eq!(Name::near(called), Some(name(nearest)), "{called:?}");
        }
        let long = Name::near(&"x".repeat(200)).expect("its beginning");
        assert_eq!(long.shown(), "x".repeat(32));
        let wide = Name::near(&"\u{fdfa}".repeat(32)).expect("its beginning");
        assert_eq!(Name::parse(wide.shown()).as_ref(), Ok(&wide));
        for nothing in ["", " ", "\u{200b}\u{2800}", "\u{0}"] {
            assert_eq!(Name::near(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_name_whose_key_would_overflow_the_stores_key_is_refused() {
        assert!(Name::parse(&"\u{fdfa}".repeat(32)).is_err());
    }

    #[test]
    fn a_numbered_name_of_the_longest_key_reads_back_as_it_was_kept() {
        let long = name(&format!("{}{}", "\u{fdfa}".repeat(14), "x".repeat(11)));
        let numbered = long.numbered(2);
        assert_eq!(Name::recorded(numbered.shown().to_owned()), numbered);
        assert!(numbered.key().len() < 900, "within DynamoDB's sort key");
    }

    #[test]
    fn a_number_is_added_within_the_length_limit() {
        assert_eq!(name("ann").numbered(2).shown(), "ann-2");
        let long = name(&"X".repeat(32)).numbered(123_456);
        assert_eq!(long.shown().chars().count(), 32);
        assert!(long.shown().ends_with("X-123456"));
        assert!(
            long.key()
                .starts_with(&name(&"x".repeat(32)).numbered_key_prefix())
        );
    }
}
