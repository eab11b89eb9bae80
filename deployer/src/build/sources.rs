//! Where the sources are: the functions are built from them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::input::{self, What};
use crate::template::Fragments;

/// Bytes of a file of `cloudformation/` at most: CloudFormation takes templates of 1 MB.
const FRAGMENT_BYTES_MAX: u64 = 1024 * 1024;

/// A checkout of this project, or a project that `chatctl init` has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources {
    checkout: PathBuf,
}

impl Sources {
    /// The checkout around `folder`; where there is none and nothing is carried, the one that this
    /// program was built from.
    pub(crate) fn find(folder: &Path, is_carrying: bool) -> Option<Self> {
        let own = built_from().filter(|_| !is_carrying);
        Self::choose(own.as_deref(), folder)
    }

    fn choose(built_from: Option<&Path>, folder: &Path) -> Option<Self> {
        Self::around(folder).or(built_from).and_then(Self::at)
    }

    /// The top of the checkout around a folder.
    pub(crate) fn around(folder: &Path) -> Option<&Path> {
        // What somebody else has put into a folder above is nobody's wish: it would be built and run.
        let is_ours = |it: &&Path| is_checkout(it) && is_of_the_user(it);
        folder.ancestors().find(is_ours)
    }

    /// The checkout in a folder, if it is one.
    pub(crate) fn at(folder: &Path) -> Option<Self> {
        let checkout = folder.canonicalize().ok().filter(|it| is_checkout(it))?;
        Some(Self { checkout })
    }

    /// The pieces of the template, by their files' names. Subfolders are not part of the stack.
    ///
    /// # Errors
    /// The operating system's, or that one of them is no text.
    pub(crate) fn fragments(&self) -> io::Result<Fragments> {
        let mut fragments = Vec::new();
        for entry in std::fs::read_dir(self.checkout.join("cloudformation"))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || path.extension().is_none_or(|it| it != "yaml") {
                continue;
            }
            let told = |error: io::Error| {
                io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
            };
            let text = input::read(&path, What::File, FRAGMENT_BYTES_MAX).map_err(told)?;
            let text = String::from_utf8(text).map_err(io::Error::other);
            fragments.push((name.into_owned(), text.map_err(told)?));
        }
        fragments.sort();
        Ok(Fragments::read(fragments))
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

/// The checkout that this program was built from, if it tells of it.
pub(super) fn built_from() -> Option<PathBuf> {
    let package = env!("CHATCTL_BUILT_FROM");
    Path::new(package).parent().map(Path::to_owned)
}

/// Root's are everybody's.
fn is_of_the_user(folder: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let owner = folder.metadata().map(|it| it.uid());
    owner.is_ok_and(|it| it == user || it == 0)
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
    fn the_checkout_around_the_user_counts_before_the_one_built_from() {
        let (own, other) = (Clone::new("own"), Clone::new("other"));
        let found = |folder: &Path| Sources::choose(Some(&own.0), folder).unwrap().checkout;
        assert_eq!(found(&other.0.join("handlers")), other.0);
        assert_eq!(found(&own.0.join("handlers")), own.0);
        assert_eq!(found(Path::new("/")), own.0);
        assert_eq!(Sources::choose(None, Path::new("/")), None);
        let gone = Path::new("/nowhere");
        assert_eq!(Sources::choose(Some(gone), Path::new("/")), None);
    }

    #[test]
    fn the_checkout_built_from_is_not_looked_for_by_what_carries_its_code() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let checkout = checkout.canonicalize().unwrap();
        let found = Sources::find(Path::new("/"), false).map(|it| it.checkout);
        assert_eq!(
            found,
            (!env!("CHATCTL_BUILT_FROM").is_empty()).then_some(checkout)
        );
        assert_eq!(Sources::find(Path::new("/"), true), None);
    }

    #[test]
    fn a_checkout_of_somebody_else_around_the_user_does_not_count() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give a folder away.
        }
        let other = Clone::new("strange");
        assert!(Sources::choose(None, &other.0).is_some());
        std::os::unix::fs::chown(&other.0, Some(65_534), None).unwrap();
        assert_eq!(Sources::choose(None, &other.0.join("wwwroot")), None);
        assert!(Sources::at(&other.0).is_some(), "unless it is named");
    }

    #[test]
    fn the_template_is_that_of_the_folder_and_what_is_no_text_is_named() {
        let clone = Clone::new("fragments");
        let folder = clone.0.join("cloudformation");
        for (name, text) in [
            ("b.yaml", "b"),
            ("a.yaml", "a"),
            (".x.yaml", "x"),
            ("c.md", "c"),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let sources = Sources::at(&clone.0).unwrap();
        let pairs = [("a.yaml", "a"), ("b.yaml", "b")];
        let pairs = pairs.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(sources.fragments().unwrap(), Fragments::read(pairs.into()));
        std::fs::write(folder.join("d.yaml"), b"\xff").unwrap();
        let refused = sources.fragments().unwrap_err().to_string();
        assert!(refused.contains("d.yaml"), "{refused}");
    }
}
