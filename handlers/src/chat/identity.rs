//! Who somebody is over reconnects: a secret that only the member has, and what is kept of it.

use sha2::{Digest, Sha256};

use super::code::ALPHABET;
use crate::ports::{MemberId, PortError, Randomness};

/// Five bits each: 130 in all.
const SYMBOLS: usize = 26;

/// Bytes of a member's id.
const ID_BYTES: usize = 16;

/// What `joined` tells and `join` proves. The member's id is made of it by a one-way function, so
/// nothing about it has to be kept, and nothing that is kept gives it away. It stays the same for as
/// long as it is used: an answer that is lost locks nobody out.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Resume(String);

impl Resume {
    /// A new one.
    pub(super) fn random(randomness: &dyn Randomness) -> Result<Self, PortError> {
        let mut bytes = [0; SYMBOLS];
        randomness.fill(&mut bytes)?;
        let symbol = |byte: &u8| char::from(ALPHABET[usize::from(byte % 32)]);
        Ok(Self(bytes.iter().map(symbol).collect()))
    }

    /// One that a client sent; `None` for what was never given to any.
    pub(super) fn parse(sent: &str) -> Option<Self> {
        let known = sent.len() == SYMBOLS && sent.bytes().all(|byte| ALPHABET.contains(&byte));
        known.then(|| Self(sent.to_owned()))
    }

    /// Whose it is.
    pub(super) fn member(&self) -> MemberId {
        MemberId::new(hex(&Sha256::digest(self.0.as_bytes())[..ID_BYTES]))
    }

    /// For its owner alone.
    pub(super) fn into_secret(self) -> String {
        self.0
    }
}

/// Bytes as they are kept.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::memory::Stuttering;

    #[test]
    fn a_secret_reads_back_as_the_same_member_and_is_not_in_its_id() {
        let secret = Resume::random(&Stuttering::default()).expect("randomness");
        let read = Resume::parse(&secret.clone().into_secret()).expect("a secret");
        assert_eq!(read.member(), secret.member());
        assert!(!secret.member().as_str().contains(&secret.0[..8]));
    }

    #[test]
    fn what_was_never_given_out_is_none() {
        let short = "0".repeat(SYMBOLS - 1);
        for sent in [
            "",
            "ann",
            &short,
            &format!("{short}u"),
            &format!("{short}00"),
        ] {
            assert!(Resume::parse(sent).is_none(), "{sent}");
        }
    }
}
