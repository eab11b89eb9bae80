//! The tests of the page, which Node runs: of one file each.

use std::process::Stdio;

use tokio::process::Command;

use crate::chatctl;

/// Runs the tests of a file of `e2e/browser`, once it has its variables.
///
/// # Panics
/// When the browser's driver is not installed.
#[must_use]
pub fn tests(file: &str) -> Command {
    let folder = chatctl::checkout().join("e2e/browser");
    assert!(
        folder.join("node_modules/playwright-core").is_dir(),
        "the browser's driver is missing; `cargo xtask test` installs it, or `npm ci` in `{}`",
        folder.display()
    );
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter", "spec", file])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    node
}
