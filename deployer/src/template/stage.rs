//! The name of a stage: what tells one chat of an account from another.

use std::fmt;
use std::str::FromStr;

/// A stage's name: lower-case letters, digits and hyphens, the last of these only between two of
/// the others, and no more than [`StageName::LENGTH_MAX`] characters.
///
/// It is the last segment of the socket's URL and part of the names of the stack and of things that
/// are unique in an account. The parameter `StageName` of the template states the same rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StageName(String);

/// A text that is not a stage's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a stage name")]
pub(crate) struct StageNameError {
    name: String,
}

impl StageName {
    /// The most characters that a name may have.
    pub(crate) const LENGTH_MAX: usize = 20;

    /// The one that is meant where none is named.
    pub(crate) const DEFAULT: &'static str = "dev";

    /// What the name of every chat's stack begins with, before its stage.
    pub(crate) const STACK_PREFIX: &'static str = "chat-";

    /// The name of the stage's stack.
    pub(crate) fn stack_name(&self) -> String {
        format!("{}{}", Self::STACK_PREFIX, self.0)
    }

    /// The stage of a stack of that name.
    pub(crate) fn of_stack(stack: &str) -> &str {
        stack.strip_prefix(Self::STACK_PREFIX).unwrap_or(stack)
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StageName {
    type Err = StageNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let valid = (1..=Self::LENGTH_MAX).contains(&name.len())
            && name.bytes().all(allowed)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if valid {
            Ok(Self(name.to_owned()))
        } else {
            Err(StageNameError {
                name: name.to_owned(),
            })
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_letters_digits_and_inner_hyphens_are_a_name() {
        for name in ["dev", "a", "7", "pr-128", "a--b", "abcdefghij0123456789"] {
            assert_eq!(
                name.parse::<StageName>().map(|it| it.to_string()),
                Ok(name.into())
            );
        }
    }

    #[test]
    fn anything_else_is_refused_and_named() {
        let names = [
            "",
            "Dev",
            "my_stage",
            "a b",
            "-dev",
            "dev-",
            "dév",
            "dev\n",
            "$default",
            "abcdefghij0123456789x",
        ];
        for name in names {
            let error = name.parse::<StageName>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{name}` is not a stage name"));
        }
    }
}
