//! Where the sources are: the functions are built from them.

use std::path::{Path, PathBuf};

use super::BuildError;

/// A checkout of this project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources(PathBuf);

impl Sources {
    /// The checkout around `folder`, or else the one that this program was built from.
    ///
    /// # Errors
    /// [`BuildError::NoSources`], if neither is there.
    pub(crate) fn find(folder: &Path) -> Result<Self, BuildError> {
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let around = folder
            .ancestors()
            .find(|it| is_checkout(it))
            .map(Path::to_owned);
        let found = around.or_else(|| built_from.canonicalize().ok().filter(|it| is_checkout(it)));
        found.map(Self).ok_or(BuildError::NoSources)
    }

    /// The workspace's manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.0.join("Cargo.toml")
    }

    /// The page.
    pub(crate) fn wwwroot(&self) -> PathBuf {
        self.0.join("wwwroot")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_around_a_folder_is_found_and_else_the_one_built_from() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .canonicalize()
            .unwrap();
        for folder in [
            checkout.join("deployer/src"),
            checkout.clone(),
            PathBuf::from("/"),
        ] {
            assert_eq!(Sources::find(&folder).unwrap(), Sources(checkout.clone()));
        }
    }
}
