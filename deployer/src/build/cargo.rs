//! The calls of cargo.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::{Architecture, PreflightError, Sources, sources};

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
    /// What is to be taken up when it changes is inside this program.
    #[error("there are no sources here to watch")]
    NothingToWatch,
    /// This program carries other functions.
    #[error("this program carries no functions for {0}")]
    NotCarried(String),
    /// cargo cannot be run.
    #[error("`cargo` cannot be run")]
    NoCargo(#[source] std::io::Error),
    /// cargo said no, and why.
    #[error("the functions could not be built")]
    Failed,
    /// cargo said yes, and made no such program.
    #[error("cargo built no program `{BOOTSTRAP}`")]
    NoBootstrap,
    /// Nothing here compiles for Lambda.
    #[error("nothing here builds for Linux on `{architecture}` ({host})")]
    NoCompiler {
        /// What was asked for.
        architecture: Architecture,
        /// What this machine is.
        host: String,
    },
    /// The program was built and cannot be read or packed.
    #[error("`{}` cannot be read or packed", path.display())]
    Unreadable {
        /// The program.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Lambda could not run it.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
}

impl BuildError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::NoSources => {
                let gone = match sources::built_from() {
                    Some(checkout) => format!("the checkout `{}`", checkout.display()),
                    None => "the checkout".to_owned(),
                };
                return format!(
                    "{gone} that this program was built from is gone; run it inside another, or name \
                     one with `--source`"
                );
            }
            Self::NothingToWatch => {
                "leave out `--watch`, or run it inside a checkout or name one with `--source`"
            }
            Self::NotCarried(_) => {
                "run it inside a checkout, or name one with `--source`: they are built then; `chatctl \
                 --version` tells which it carries, for `--arch`"
            }
            Self::NoCargo(_) => "install Rust with rustup (https://rustup.rs)",
            Self::Failed => "cargo's messages above say what is wrong",
            Self::NoBootstrap => "`handlers/Cargo.toml` has to declare it",
            Self::NoCompiler { architecture, .. } => {
                return format!(
                    "`cargo install cargo-zigbuild`, `pip install ziglang` and `rustup target add \
                     {}`, then run this again",
                    architecture.target()
                );
            }
            Self::Unreadable { .. } => "is the file there, and the disk not full?",
            Self::Preflight(error) => error.hint(),
        };
        hint.to_owned()
    }
}

/// What compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compiler {
    /// Plain cargo, for this machine.
    Host,
    /// `cargo-zigbuild`, for a target with the version of glibc to link against.
    Zigbuild {
        /// Such as `x86_64-unknown-linux-gnu.2.34`.
        target: String,
    },
}

impl Compiler {
    fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Host => vec!["build"],
            Self::Zigbuild { target } => vec!["zigbuild", "--target", target],
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

/// Builds the `bootstrap` for this machine, if it is out of date, and gives its path. cargo's own
/// messages go to standard error. Dropping the future ends cargo and every compiler that it runs.
///
/// # Errors
/// [`BuildError`], if there is none then.
pub(crate) async fn bootstrap(sources: &Sources, profile: Profile) -> Result<PathBuf, BuildError> {
    compile(sources, profile, &Compiler::Host).await
}

/// Likewise, with any compiler.
pub(super) async fn compile(
    sources: &Sources,
    profile: Profile,
    compiler: &Compiler,
) -> Result<PathBuf, BuildError> {
    // The cargo that runs this program, if one does: it may not be the one of the search path.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let not_its_own = |name: &OsStr| is_of_a_package(name) || is_secret(name);
    for (variable, _) in std::env::vars_os().filter(|(name, _)| not_its_own(name)) {
        cargo.env_remove(variable);
    }
    let profile = match profile {
        Profile::Dev => "dev",
        Profile::Lambda => "lambda",
    };
    cargo
        .args(compiler.arguments())
        .args([
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
        .stderr(Stdio::inherit());
    let (status, messages) = run(&mut cargo).await.map_err(BuildError::NoCargo)?;
    if !status.success() {
        return Err(BuildError::Failed);
    }
    executable(&messages).ok_or(BuildError::NoBootstrap)
}

/// Runs a command to its end, and gives its standard output. Dropping the future ends it and all that
/// it started: cargo killed alone would leave its compilers at work.
async fn run(command: &mut Command) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    // Ctrl-C on a terminal does not reach a group of its own: it ends this future, and that the group.
    let command = command.process_group(0).stdout(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn()?;
    // Declared after the child, hence dropped before it: until the child has been waited for, no
    // other group can have its number.
    let mut group = Group::of(child.id());
    let mut output = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_end(&mut output).await?;
    }
    let status = child.wait().await?;
    group.forget();
    Ok((status, output))
}

/// A process group that ends with its owner.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        Self(leader.and_then(|id| Pid::from_raw(id.try_into().ok()?)))
    }

    /// It has ended by itself.
    fn forget(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It fails only when all of the group have ended already. cargo takes what was cut off
            // as not built.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// `cargo run` tells a program which package it is, and where that one's build script wrote. To the build
/// scripts of a build inside it these variables would look like a change, and a part of the tree would be
/// built again each time.
fn is_of_a_package(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    variable == "OUT_DIR"
        || variable.starts_with("CARGO_PKG_")
        || variable.starts_with("CARGO_MANIFEST_")
}

/// What an account can be entered with. A build runs programs of all dependencies, and none of them needs it.
fn is_secret(variable: &OsStr) -> bool {
    let secrets = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    secrets.iter().any(|it| variable == *it)
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
    fn a_build_by_cargo_run_is_told_what_one_from_a_shell_is() {
        // As cargo tells this test.
        for variable in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "OUT_DIR"] {
            assert!(std::env::var_os(variable).is_some(), "{variable}");
            assert!(is_of_a_package(variable.as_ref()), "{variable}");
        }
        for variable in ["CARGO_TARGET_DIR", "CARGO", "RUSTFLAGS", "PATH"] {
            assert!(!is_of_a_package(variable.as_ref()), "{variable}");
        }
    }

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
        let sources = crate::build::sources::make_checkout(&folder);
        let built = bootstrap(&sources, Profile::Dev).await;
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(built, Err(BuildError::Failed)), "{built:?}");
    }
}
