//! The calls of cargo, and where it puts things: that is asked of cargo itself, whose settings can
//! move the target folder anywhere.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::{Outcome, checkout, output_of};

/// The variables that move the target folder. What they name is relative to the user's folder.
const TARGET_VARIABLES: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];

/// The cargo that runs this program, in the checkout.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The variables that tell this program which package it is of would make some build scripts run
    // again.
    for (variable, _) in std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    }) {
        cargo.env_remove(variable);
    }
    for variable in TARGET_VARIABLES {
        let folder = std::env::var_os(variable).and_then(|it| std::path::absolute(it).ok());
        if let Some(folder) = folder {
            cargo.env(variable, folder);
        }
    }
    cargo.current_dir(checkout()).arg(command);
    // `cargo fmt` resolves nothing, and does not know the flag.
    if command != "fmt" {
        cargo.arg("--locked");
    }
    cargo
}

/// The target folder.
pub(crate) fn target() -> Outcome<PathBuf> {
    let mut metadata = cargo("metadata");
    metadata.args(["--format-version", "1", "--no-deps"]);
    let metadata = output_of(&mut metadata)?;
    target_in(&metadata).ok_or_else(|| "cargo does not tell its target folder".to_owned())
}

fn target_in(metadata: &[u8]) -> Option<PathBuf> {
    let metadata: Value = serde_json::from_slice(metadata).ok()?;
    metadata["target_directory"].as_str().map(PathBuf::from)
}

/// Builds `chatctl`, if it is out of date, and gives its path.
pub(crate) fn chatctl() -> Outcome<PathBuf> {
    let mut build = cargo("build");
    build.args(["--package", "chatctl", "--bin", "chatctl"]);
    build.args(["--message-format", "json-render-diagnostics"]);
    let messages = output_of(&mut build)?;
    executable(&messages, "chatctl").ok_or_else(|| "cargo built no program `chatctl`".to_owned())
}

/// A program's path in cargo's messages, a line of JSON each.
pub(crate) fn executable(messages: &[u8], program: &str) -> Option<PathBuf> {
    let messages = messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_where_cargo_says() {
        let messages =
            br#"{"reason":"compiler-artifact","target":{"name":"chatctl"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"chatctl"},"executable":"/elsewhere/debug/chatctl"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            executable(messages, "chatctl"),
            Some(PathBuf::from("/elsewhere/debug/chatctl"))
        );
        assert_eq!(executable(messages, "bootstrap"), None);
    }

    #[test]
    fn the_target_folder_is_where_cargo_says() {
        let target = target().unwrap();
        let program = std::env::current_exe().unwrap();
        assert!(
            program.starts_with(&target),
            "{} is not in {}",
            program.display(),
            target.display()
        );
    }
}
