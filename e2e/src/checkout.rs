//! The checkout as `git clone` would bring it, without what is made or installed in it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::chatctl::checkout;

/// What is made or installed here.
const LEFT_OUT: [&str; 3] = ["target", ".git", "node_modules"];

/// What is built of a copy.
const PACKAGES: [&str; 3] = ["chatctl", "handlers", "local"];

/// All files, by their paths from the checkout, in order.
///
/// # Panics
/// When the checkout cannot be read.
#[must_use]
pub fn files() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        let folder = checkout().join(folder);
        for entry in std::fs::read_dir(folder).expect("the checkout") {
            let entry = entry.expect("the checkout");
            let path = entry.path();
            let own = path.strip_prefix(checkout()).expect("below the checkout");
            if LEFT_OUT.iter().any(|it| entry.file_name() == *it) {
                continue;
            }
            if entry.file_type().expect("a type").is_dir() {
                collect(own, found);
            } else {
                found.push(own.to_owned());
            }
        }
    }
    let mut found = Vec::new();
    collect(Path::new(""), &mut found);
    found.sort();
    found
}

/// Copies all of it into a folder, for a test of this name that shares what cargo has built of others.
///
/// What cargo builds of the copy is known by another name than what it builds of the checkout and of other
/// copies: both would be at the same place otherwise, and the older sources count as built with what the
/// younger ones were.
///
/// # Panics
/// When a file cannot be copied.
pub fn copy(to: &Path, name: &str) {
    for file in files() {
        let (from, to) = (checkout().join(&file), to.join(&file));
        std::fs::create_dir_all(to.parent().expect("it is in a folder")).expect("a folder");
        std::fs::copy(&from, &to).expect("a file");
    }
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    // More units than there are modules make no difference but in that name.
    let units = 1_000 + hasher.finish() % 1_000_000;
    let own = |package| format!("\n[profile.dev.package.{package}]\ncodegen-units = {units}\n");
    let config = to.join(".cargo/config.toml");
    let mut text = std::fs::read_to_string(&config).expect("cargo's settings");
    text.extend(PACKAGES.map(own));
    std::fs::write(&config, text).expect("cargo's settings");
}
