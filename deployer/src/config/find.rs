//! Where the file is.

use std::path::{Path, PathBuf};

use super::NAME;
use crate::build::Sources;

/// What a checkout has at its top.
const CHECKOUT: &str = ".git";

/// The nearest file, from the folder where the user is up to the top of its checkout, or of its app where
/// that is in none. Elsewhere it is that folder's alone: what anybody may have put into `/tmp` or `/` is
/// nobody's setting.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    let has_checkout = |it: &&Path| it.join(CHECKOUT).exists();
    let top = folder.ancestors().find(has_checkout);
    // What is deployed from there is deployed with its settings.
    let top = top.or_else(|| Sources::around(folder)).unwrap_or(folder);
    let folders = folder.ancestors().take_while(|it| it.starts_with(top));
    let files = folders.map(|it| it.join(NAME));
    files.into_iter().find(|it| it.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_an_app_it_is_the_apps_wherever_in_it_the_user_is() {
        let root = std::env::temp_dir().join(format!("chatctl-app-{}", std::process::id()));
        let app = root.join("app");
        for folder in ["handlers/src", "wwwroot", "cloudformation"] {
            std::fs::create_dir_all(app.join(folder)).unwrap();
        }
        for file in ["../chatctl.toml", "Cargo.toml", "handlers/Cargo.toml"] {
            std::fs::write(app.join(file), "").unwrap();
        }
        let inner = app.join("handlers/src");
        let no_app = find(&inner);
        std::fs::write(app.join("wwwroot/index.html"), "").unwrap();
        let without = find(&inner);
        std::fs::write(app.join(NAME), "").unwrap();
        let (own, at_its_top) = (find(&inner), find(&app));
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(no_app, None);
        assert_eq!(without, None, "above the app");
        assert_eq!(own, Some(app.join(NAME)));
        assert_eq!(at_its_top, own);
    }

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
