//! The calls of cargo.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use super::Sources;

/// How the functions are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Fast to build.
    Dev,
    /// As they are packaged for Lambda.
    Lambda,
}

/// Why there is no `bootstrap`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// There is nothing to build from.
    #[error("the sources of the functions are not here")]
    NoSources,
    /// cargo cannot be run.
    #[error("`cargo` cannot be run")]
    NoCargo(#[source] std::io::Error),
    /// cargo said no, and why.
    #[error("the functions could not be built")]
    Failed,
    /// cargo said yes, and made no such program.
    #[error("cargo built no program `{BOOTSTRAP}`")]
    NoBootstrap,
}

impl BuildError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoSources => "run this inside a clone of the project",
            Self::NoCargo(_) => "install Rust with rustup (https://rustup.rs)",
            Self::Failed => "cargo's messages above say what is wrong",
            Self::NoBootstrap => "`handlers/Cargo.toml` has to declare it",
        }
    }
}

const PACKAGE: &str = "handlers";
const BOOTSTRAP: &str = "bootstrap";

/// What cargo tells of a program that it made or found up to date.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds the `bootstrap`, if it is out of date, and gives its path. cargo's own messages go to
/// standard error.
///
/// # Errors
/// [`BuildError`], if there is none then.
pub(crate) async fn bootstrap(sources: &Sources, profile: Profile) -> Result<PathBuf, BuildError> {
    // The cargo that runs this program, if one does: it may not be the one of the search path.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (variable, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(name)) {
        cargo.env_remove(variable);
    }
    let profile = match profile {
        Profile::Dev => "dev",
        Profile::Lambda => "lambda",
    };
    let output = cargo
        .args([
            "build",
            "--package",
            PACKAGE,
            "--bin",
            BOOTSTRAP,
            "--profile",
            profile,
        ])
        .args([
            "--message-format",
            "json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(sources.manifest())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(BuildError::NoCargo)?;
    if !output.status.success() {
        return Err(BuildError::Failed);
    }
    executable(&output.stdout).ok_or(BuildError::NoBootstrap)
}

/// `cargo run` tells a program which package it is. To the build scripts of a build inside it these
/// variables would look like a change, and a part of the tree would be built again each time.
fn is_of_a_package(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// Reads cargo's messages, a JSON object a line.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let artifacts = messages.split(|byte| *byte == b'\n').filter_map(|line| {
        // Messages of other kinds have other fields.
        serde_json::from_slice::<Artifact>(line).ok()
    });
    artifacts
        .filter(|it| it.target.name == BOOTSTRAP)
        .find_map(|it| it.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages =
            br#"{"reason":"compiler-artifact","target":{"name":"tokio"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"bootstrap"},"executable":"/t/debug/bootstrap"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            executable(messages),
            Some(PathBuf::from("/t/debug/bootstrap"))
        );
        assert_eq!(executable(b"{}\n"), None);
    }

    #[tokio::test]
    async fn a_checkout_that_cargo_refuses_is_a_failed_build() {
        let folder = std::env::temp_dir().join(format!("chatctl-build-{}", std::process::id()));
        for part in ["handlers", "wwwroot", "cloudformation"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        for part in ["Cargo.toml", "handlers/Cargo.toml", "wwwroot/index.html"] {
            std::fs::write(folder.join(part), "not a manifest").unwrap();
        }
        let sources = Sources::find(&folder).unwrap();
        let built = bootstrap(&sources, Profile::Dev).await;
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(built, Err(BuildError::Failed)), "{built:?}");
    }
}
