//! Why a release cannot be gone back to, and what the user can do about it.

use crate::stack::Status;

/// A release that cannot be gone back to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    /// There is none at all.
    #[error("nothing is kept of `{stack}` that was found to work")]
    None {
        /// The stack.
        stack: String,
    },
    /// There is none but what runs, and what was gone back from.
    #[error(
        "nothing is kept of `{stack}` but what it runs already{}",
        and_left(left)
    )]
    NoOther {
        /// The stack.
        stack: String,
        /// Those that were gone back from.
        left: Vec<String>,
    },
    /// What the last rollback noted is not what any has noted.
    #[error("what the last rollback of `{stack}` noted cannot be read")]
    Unreadable {
        /// The stack.
        stack: String,
    },
    /// The stack was never finished, or is half gone.
    #[error("`{stack}` is in {status}: there is nothing to go back from")]
    Unmade {
        /// The stack.
        stack: String,
        /// What it is in.
        status: Status,
    },
    /// There is none of that number or name.
    #[error("there is no release `{which}` of `{stack}`, but {}", listed(known))]
    Unknown {
        /// The stack.
        stack: String,
        /// What was asked for.
        which: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// There are several.
    #[error("`{which}` is the beginning of {}", listed(known))]
    Ambiguous {
        /// What was asked for.
        which: String,
        /// Those that are called so.
        known: Vec<String>,
    },
    /// Its package is gone.
    #[error("the package of the release `{release}` is not in the bucket `{bucket}` any more")]
    NoPackage {
        /// The release.
        release: String,
        /// The bucket.
        bucket: String,
    },
    /// Its page is not what it was.
    #[error("the page of the release `{release}` is damaged")]
    Damaged {
        /// The release.
        release: String,
        /// Why it cannot be read, if that is it.
        #[source]
        source: Option<std::io::Error>,
    },
}

impl ReleaseError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoOther { left, .. } if !left.is_empty() => {
                "`chatctl rollback --to NAME` goes to one of those all the same; to go back further, \
                 check out what it was made from and run `chatctl deploy`"
                    .to_owned()
            }
            Self::None { .. } | Self::NoOther { .. } => {
                "a deploy that is found to work is kept from then on; to go back further, check out \
                 what it was made from and run `chatctl deploy`"
                    .to_owned()
            }
            Self::Unknown { .. } | Self::Ambiguous { .. } => {
                "`chatctl rollback --list` shows them; give `--to` a number or a name of that list"
                    .to_owned()
            }
            Self::Unreadable { .. } => {
                "choose one of `chatctl rollback --list`, and name it: `chatctl rollback --to NAME`"
                    .to_owned()
            }
            Self::Unmade { .. } => "`chatctl deploy` makes it anew".to_owned(),
            Self::NoPackage { .. } | Self::Damaged { .. } => {
                "choose another one of `chatctl rollback --list` with `--to NAME`, or check out what it \
                 was made from and run `chatctl deploy`"
                    .to_owned()
            }
        }
    }
}

fn listed(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}

fn and_left(left: &[String]) -> String {
    if left.is_empty() {
        return String::new();
    }
    format!(", and what was gone back from: {}", listed(left))
}
