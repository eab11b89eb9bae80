//! Room codes: unguessable, and easy to read aloud.

use std::fmt;

/// Crockford's base32 alphabet: no I, L, O or U, so that nothing looks like 1 or 0 or spells a word.
pub(super) const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const SYMBOLS: usize = 10;
const SYMBOLS_A_GROUP: usize = 5;

/// A room's code: ten symbols of Crockford's base32, 50 bits, shown as `7K3M9-QX2TB`.
///
/// A guess hits one of a million rooms once in 10⁹ tries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomCode(String);

impl RoomCode {
    /// How many random bytes a code is made of.
    pub const RANDOM_BYTES: usize = SYMBOLS;

    /// Makes a code of random bytes, five bits of each.
    #[must_use]
    pub fn from_random(bytes: [u8; Self::RANDOM_BYTES]) -> Self {
        Self(
            bytes
                .iter()
                .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
                .collect(),
        )
    }

    /// Reads a code as a person typed it: case, spaces and hyphens do not matter, `O` is `0`, `I`
    /// and `L` are `1`. `None` for anything that cannot be a code.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let typed = typed
            .chars()
            .filter(|symbol| !symbol.is_whitespace() && *symbol != '-');
        let code: String = typed.map(symbol).collect::<Option<_>>()?;
        (code.len() == SYMBOLS).then_some(Self(code))
    }

    /// The ten symbols without a hyphen, as they are stored.
    #[must_use]
    pub fn symbols(&self) -> &str {
        &self.0
    }
}

fn symbol(typed: char) -> Option<char> {
    let symbol = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    symbol
        .is_ascii()
        .then_some(symbol)
        .filter(|symbol| ALPHABET.contains(&(*symbol as u8)))
}

impl fmt::Display for RoomCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.symbols().split_at(SYMBOLS_A_GROUP);
        write!(formatter, "{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_back_however_it_was_typed() {
        let code = RoomCode::parse("7K3M9-QX2T0").expect("a code");
        for typed in ["7k3m9qx2t0", " 7K3M9 QX2TO ", "7-K-3-M-9-Q-X-2-T-o"] {
            assert_eq!(RoomCode::parse(typed), Some(code.clone()), "{typed}");
        }
        assert_eq!(code.to_string(), "7K3M9-QX2T0");
        assert_eq!(
            RoomCode::parse("iIlL1-00000"),
            RoomCode::parse("11111OOOOO")
        );
    }

    #[test]
    fn what_cannot_be_a_code_is_none() {
        for typed in [
            "",
            "lobby",
            "7K3M9-QX2T",
            "7K3M9-QX2T00",
            "7K3M9-QX2TU",
            "7K3M9-QX2Té",
        ] {
            assert_eq!(RoomCode::parse(typed), None, "{typed}");
        }
    }

    #[test]
    fn every_symbol_is_equally_likely() {
        let mut seen = std::collections::BTreeMap::new();
        for byte in 0..=u8::MAX {
            let code = RoomCode::from_random([byte; RoomCode::RANDOM_BYTES]);
            *seen.entry(code.symbols().to_owned()).or_insert(0) += 1;
            assert_eq!(RoomCode::parse(&code.to_string()), Some(code));
        }
        assert_eq!(seen.len(), 32);
        assert!(seen.values().all(|times| *times == 8));
    }
}
