//! Tags of a stack, which AWS puts on what is in it.

use std::collections::BTreeMap;

/// A stack has at most 50, and two are this program's own.
const COUNT_MAX: usize = 48;

const KEY_LENGTH_MAX: usize = 128;
const VALUE_LENGTH_MAX: usize = 256;

/// What this program writes on its stacks begins so.
const OURS: &str = "chatctl";

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    key: String,
    value: String,
}

/// Tags that cannot be put on a stack together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TagsError {
    /// One key, two values.
    #[error("the tag `{0}` is given twice")]
    Twice(String),
    /// More than a stack can have.
    #[error("{0} tags are more than a stack can have")]
    TooMany(usize),
}

impl TagsError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Twice(_) => "give `--tag` once for each key".to_owned(),
            Self::TooMany(_) => format!("give `--tag` at most {COUNT_MAX} times"),
        }
    }
}

/// Reads `key=value`: what all services take, of which some take more.
/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
pub(crate) fn tag(text: &str) -> Result<Tag, String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err("not a key and a value, such as team=chat".to_owned());
    };
    let is_good = |text: &str| {
        let mut characters = text.chars();
        characters.all(|it| it.is_alphanumeric() || " _.:/=+-@".contains(it))
    };
    let lower = key.to_lowercase();
    if key.is_empty() || key.chars().count() > KEY_LENGTH_MAX {
        return Err(format!("a key has 1 to {KEY_LENGTH_MAX} characters"));
    }
    if value.chars().count() > VALUE_LENGTH_MAX {
        return Err(format!("a value has at most {VALUE_LENGTH_MAX} characters"));
    }
    if !is_good(key) || !is_good(value) {
        return Err("only letters, digits, spaces and _ . : / = + - @ are taken".to_owned());
    }
    if lower.starts_with("aws:") {
        return Err("keys that begin with aws: are AWS's own".to_owned());
    }
    if lower == OURS || lower.starts_with("chatctl:") {
        return Err("chatctl, and what begins with chatctl: is this program's own".to_owned());
    }
    Ok(Tag {
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

/// Tags by their keys, in one order, however they were given.
///
/// # Errors
/// [`TagsError`], if a stack cannot have them.
pub(crate) fn all(tags: &[Tag]) -> Result<Vec<(String, String)>, TagsError> {
    let mut all = BTreeMap::new();
    for Tag { key, value } in tags {
        if all.insert(key.clone(), value.clone()).is_some() {
            return Err(TagsError::Twice(key.clone()));
        }
    }
    if all.len() > COUNT_MAX {
        return Err(TagsError::TooMany(all.len()));
    }
    Ok(all.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_key_and_a_value_of_characters_that_all_services_take() {
        for (text, key, value) in [
            ("team=chat", "team", "chat"),
            ("cost centre=", "cost centre", ""),
            ("a:b/c=d=e+f-g@h.i", "a:b/c", "d=e+f-g@h.i"),
            ("équipe=ü1", "équipe", "ü1"),
            ("chatctlx=1", "chatctlx", "1"),
        ] {
            let tag = tag(text).unwrap();
            assert_eq!((tag.key.as_str(), tag.value.as_str()), (key, value));
        }
        let long = format!("{}=x", "k".repeat(129));
        let full = format!("k={}", "v".repeat(257));
        for (text, reason) in [
            ("team", "not a key and a value"),
            ("=x", "1 to 128"),
            (long.as_str(), "1 to 128"),
            (full.as_str(), "at most 256"),
            ("a=b,c", "only letters"),
            ("a\n=b", "only letters"),
            ("AWS:x=1", "AWS's own"),
            ("chatctl=mine", "this program's own"),
            ("chatctl:stage=x", "this program's own"),
        ] {
            let refused = tag(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn a_stack_has_each_key_once_and_no_more_than_it_can() {
        let tags = |count: usize| -> Vec<_> {
            (0..count)
                .map(|it| tag(&format!("k{it}=v")).unwrap())
                .collect()
        };
        assert_eq!(all(&tags(48)).unwrap().len(), 48);
        assert_eq!(all(&tags(49)).unwrap_err(), TagsError::TooMany(49));
        let twice = [tags(1), tags(1)].concat();
        assert_eq!(all(&twice).unwrap_err(), TagsError::Twice("k0".to_owned()));
        let one = ["b=1", "a=2"].map(|it| tag(it).unwrap());
        let sorted = all(&one).unwrap();
        assert_eq!(sorted[0], ("a".to_owned(), "2".to_owned()));
    }
}
