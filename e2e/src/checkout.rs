//! The checkout as `git clone` would bring it, without what is made or installed in it.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::chatctl::checkout;

/// What is made or installed here.
const LEFT_OUT: [&str; 3] = ["target", ".git", "node_modules"];

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

/// Copies all of it into a folder. Times stay, or cargo would build all of it anew.
///
/// # Panics
/// When a file cannot be copied.
pub fn copy(to: &Path) {
    for file in files() {
        let (from, to) = (checkout().join(&file), to.join(&file));
        std::fs::create_dir_all(to.parent().expect("it is in a folder")).expect("a folder");
        std::fs::copy(&from, &to).expect("a file");
        let modified = from.metadata().and_then(|it| it.modified());
        let copied = File::options().write(true).open(&to);
        let set = copied.and_then(|it| it.set_modified(modified?));
        set.expect("a time that can be set");
    }
}
