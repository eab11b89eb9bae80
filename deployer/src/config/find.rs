//! Where the file is.

use std::path::{Path, PathBuf};

use super::NAME;

/// What a checkout has at its top.
const CHECKOUT: &str = ".git";

/// The nearest file, from the folder where the user is up to the top of its checkout. Outside of a
/// checkout it is that folder's alone: what anybody may have put into `/tmp` or `/` is nobody's
/// setting.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    let has_checkout = |it: &&Path| it.join(CHECKOUT).exists();
    let top = folder.ancestors().find(has_checkout).unwrap_or(folder);
    let folders = folder.ancestors().take_while(|it| it.starts_with(top));
    let files = folders.map(|it| it.join(NAME));
    files.into_iter().find(|it| it.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_up_to_the_top_of_the_checkout_counts_and_none_beyond() {
        let root = std::env::temp_dir().join(format!("chatctl-find-{}", std::process::id()));
        let inner = root.join("checkout/a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let write = |path: &str| std::fs::write(root.join(path).join(NAME), "").unwrap();
        write("");
        assert_eq!(find(&root), Some(root.join(NAME)), "where the user is");
        assert_eq!(find(&inner), None, "above, and no checkout");
        std::fs::create_dir(root.join("checkout/.git")).unwrap();
        assert_eq!(find(&inner), None, "beyond the checkout");
        write("checkout");
        assert_eq!(find(&inner), Some(root.join("checkout").join(NAME)));
        write("checkout/a");
        assert_eq!(find(&inner), Some(root.join("checkout/a").join(NAME)));
        std::fs::create_dir(inner.join(NAME)).unwrap();
        let found = find(&inner);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, Some(root.join("checkout/a").join(NAME)), "a folder");
    }
}
