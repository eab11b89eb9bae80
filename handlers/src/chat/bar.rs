//! Who was removed from a room. It stands in the room's head, so it lives as long as the room does, and
//! whoever reads the room reads it: from the one write on with which somebody is removed nobody counts
//! it as a member, whatever else is there of it.

use std::fmt;

use sha2::{Digest, Sha256};

use super::identity::hex;
use crate::ports::MemberId;

/// How many a room remembers. The head is read with each message and written with each coming and going,
/// and so many are 3.5 KB of it at most, so that it stays below 4 KB; what that costs stands in
/// ARCHITECTURE.md. The first ones are forgotten beyond that.
const BARRED_MAX: usize = 100;

/// Bytes of a person's digest.
const SUBJECT_BYTES: usize = 16;

/// Who was removed from a room, and does not come back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Barred(Vec<String>);

impl Barred {
    /// Reads what was kept.
    #[must_use]
    pub fn recorded(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }

    /// With one more: where people sign in the person, else this member. Whoever asks for a member that a
    /// person is knows the person as well.
    #[must_use]
    pub fn with(&self, member: &MemberId, subject: Option<&str>) -> Self {
        let mut all = self.0.clone();
        let one = subject.map_or_else(|| member.as_str().to_owned(), of_subject);
        if !all.contains(&one) {
            all.push(one);
        }
        all.drain(..all.len().saturating_sub(BARRED_MAX));
        Self(all)
    }

    /// Whether this member was removed, or this person.
    #[must_use]
    pub fn has(&self, member: &MemberId, subject: Option<&str>) -> bool {
        // Almost always nobody was.
        !self.0.is_empty() && {
            let subject = subject.map(of_subject);
            let is_it = |it: &String| it == member.as_str() || Some(it) == subject.as_ref();
            self.0.iter().any(is_it)
        }
    }
}

impl fmt::Display for Barred {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(" "))
    }
}

/// A person, by the provider's word. No member's id begins like this.
pub(super) fn of_subject(subject: &str) -> String {
    let digest = Sha256::digest(subject.as_bytes());
    format!("p-{}", hex(&digest[..SUBJECT_BYTES]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: usize) -> MemberId {
        MemberId::new(format!("{number:032x}"))
    }

    #[test]
    fn who_was_removed_is_known_by_member_and_by_person_and_reads_back() {
        let one = Barred::default().with(&member(1), None);
        let both = one.with(&member(2), Some("a person"));
        for (barred, number, subject, expected) in [
            (&Barred::default(), 1, None, false),
            (&one, 1, None, true),
            (&one, 2, None, false),
            (&one, 2, Some("a person"), false),
            (&both, 1, None, true),
            (&both, 2, Some("another"), false),
            (&both, 3, Some("a person"), true),
            (&both, 3, Some("another"), false),
        ] {
            assert_eq!(
                barred.has(&member(number), subject),
                expected,
                "{number} {subject:?}"
            );
            assert_eq!(Barred::recorded(&barred.to_string()), *barred);
        }
        assert_eq!(both.with(&member(2), Some("a person")), both);
        assert!(!both.to_string().contains("a person"));
    }

    #[test]
    fn the_first_ones_are_forgotten_beyond_a_hundred_whether_people_sign_in_or_not() {
        for signed_in in [false, true] {
            let subject = |number: usize| signed_in.then(|| format!("person {number}"));
            let has =
                |barred: &Barred, number| barred.has(&member(number), subject(number).as_deref());
            let mut barred = Barred::default();
            for number in 0..150 {
                barred = barred.with(&member(number), subject(number).as_deref());
            }
            assert!(!has(&barred, 49), "{signed_in}");
            assert!((50..150).all(|it| has(&barred, it)), "{signed_in}");
            let bytes = barred.to_string().len();
            assert!(bytes <= 3_500, "{bytes}");
        }
    }
}
