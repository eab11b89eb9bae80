//! Where the sources are: the functions are built from them.

use std::path::{Path, PathBuf};

use super::BuildError;

/// A checkout of this project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources {
    checkout: PathBuf,
    /// Something that the user might not expect.
    remark: Option<String>,
}

impl Sources {
    /// The checkout that this program was built from, whose template it holds; where that is gone,
    /// the one around `folder`.
    ///
    /// # Errors
    /// [`BuildError::NoSources`], if neither is there.
    pub(crate) fn find(folder: &Path) -> Result<Self, BuildError> {
        Self::choose(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), folder)
    }

    /// The checkout in a folder that was asked for.
    ///
    /// # Errors
    /// [`BuildError::NoCheckout`], if it is none.
    pub(crate) fn at(folder: &Path) -> Result<Self, BuildError> {
        let checkout = folder.canonicalize().ok().filter(|it| is_checkout(it));
        let checkout = checkout.ok_or_else(|| BuildError::NoCheckout(folder.to_owned()))?;
        Ok(Self {
            checkout,
            remark: None,
        })
    }

    fn choose(built_from: &Path, folder: &Path) -> Result<Self, BuildError> {
        let around = folder.ancestors().find(|it| is_checkout(it));
        let around = around.and_then(|it| it.canonicalize().ok());
        let built_from = built_from.canonicalize().ok().filter(|it| is_checkout(it));
        let (checkout, remark) = match (built_from, around) {
            (Some(own), Some(around)) if own != around => {
                let remark = format!(
                    "note: this program was built from `{}` and runs what is there, not what is \
                     in `{}`",
                    own.display(),
                    around.display()
                );
                (own, Some(remark))
            }
            (Some(own), _) => (own, None),
            (None, Some(around)) => {
                let remark = format!(
                    "note: the clone that this program was built from is gone; it runs what is in \
                     `{}`, with its own template",
                    around.display()
                );
                (around, Some(remark))
            }
            (None, None) => return Err(BuildError::NoSources),
        };
        Ok(Self { checkout, remark })
    }

    /// What the user might not expect of the choice.
    pub(crate) fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// The workspace's manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.checkout.join("Cargo.toml")
    }

    /// Where all of it is.
    pub(crate) fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// The page.
    pub(crate) fn wwwroot(&self) -> PathBuf {
        self.checkout.join("wwwroot")
    }
}

fn is_checkout(folder: &Path) -> bool {
    [
        "Cargo.toml",
        "handlers/Cargo.toml",
        "wwwroot/index.html",
        "cloudformation",
    ]
    .iter()
    .all(|part| folder.join(part).exists())
}

/// What is taken for a checkout, with a manifest that is none.
#[cfg(test)]
pub(super) fn make_checkout(folder: &Path) -> Sources {
    for part in ["handlers", "wwwroot", "cloudformation"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    for part in ["Cargo.toml", "handlers/Cargo.toml", "wwwroot/index.html"] {
        std::fs::write(folder.join(part), "not a manifest").unwrap();
    }
    Sources {
        checkout: folder.to_owned(),
        remark: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty checkout in a folder of its own, which goes with the test.
    struct Clone(PathBuf);

    impl Clone {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir();
            let folder = folder.canonicalize().unwrap();
            let folder = folder.join(format!("chatctl-{name}-{}", std::process::id()));
            make_checkout(&folder);
            Self(folder)
        }
    }

    impl Drop for Clone {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_checkout_built_from_is_found_wherever_the_user_is() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let checkout = checkout.canonicalize().unwrap();
        for folder in [&checkout.join("deployer/src"), &checkout, Path::new("/")] {
            let sources = Sources::find(folder).unwrap();
            assert_eq!(sources.checkout, checkout, "{}", folder.display());
            assert_eq!(sources.remark(), None);
        }
    }

    #[test]
    fn in_another_checkout_the_one_built_from_counts_and_says_so() {
        let (own, other) = (Clone::new("own"), Clone::new("other"));
        let sources = Sources::choose(&own.0, &other.0.join("handlers")).unwrap();
        assert_eq!(sources.checkout, own.0);
        let remark = sources.remark().unwrap();
        assert!(remark.contains(&other.0.display().to_string()), "{remark}");
    }

    #[test]
    fn where_the_one_built_from_is_gone_the_one_around_the_folder_counts_and_says_so() {
        let around = Clone::new("around");
        let gone = Path::new("/nowhere/deployer/..");
        let sources = Sources::choose(gone, &around.0.join("wwwroot")).unwrap();
        assert_eq!(sources.checkout, around.0);
        assert!(sources.remark().unwrap().contains("is gone"));
        let none = Sources::choose(gone, Path::new("/"));
        assert!(matches!(none, Err(BuildError::NoSources)), "{none:?}");
    }
}
