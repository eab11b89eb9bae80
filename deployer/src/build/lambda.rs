//! Builds the functions for Lambda, whose processor and glibc may be others than this machine's.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tokio::process::Command;

use super::cargo::{Compiler, compile};
use super::package::sha256;
use super::{BuildError, Code, Origin, Package, Profile, carried, elf};
use crate::input::{self, What};

/// How long `cargo-zigbuild` may take to tell its version.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a program at most (AWS's quota page of Lambda, “Deployment package … unzipped”).
const PROGRAM_BYTES_MAX: u64 = 250 * 1024 * 1024;

/// Where a program is that this one carries, for people.
const INSIDE: &str = "chatctl's own bootstrap";

/// The processor that the functions run on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Architecture {
    /// Intel's and AMD's.
    #[default]
    #[value(name = "x86_64")]
    X86_64,
    /// AWS's Graviton.
    #[value(name = "arm64")]
    Arm64,
}

impl Architecture {
    /// AWS's word for it, and the template's.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's word for it.
    fn in_rust(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// Rust's target for it.
    pub(super) fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.in_rust())
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What was made of the sources.
#[derive(Debug)]
pub(crate) struct Made {
    /// The program.
    pub(crate) bootstrap: PathBuf,
    /// Its size in bytes.
    pub(crate) bytes: usize,
    /// What Lambda takes.
    pub(crate) package: Package,
}

/// A `bootstrap` that Lambda can run.
pub(crate) struct Program {
    path: PathBuf,
    content: Arc<[u8]>,
    /// Its SHA-256 in lower-case hexadecimal: it tells the program without packing it, which takes longer
    /// than all else of a deploy that has nothing to do.
    pub(crate) sha256: String,
}

impl Program {
    /// Reads one that is there, and looks whether Lambda can run it.
    ///
    /// # Errors
    /// [`BuildError`], if it cannot be read or run.
    pub(crate) async fn read(
        path: PathBuf,
        architecture: Architecture,
    ) -> Result<Self, BuildError> {
        let named = path.clone();
        let read = move || input::read(&named, What::File, PROGRAM_BYTES_MAX);
        let content = tokio::task::spawn_blocking(read).await;
        let content = content.map_err(std::io::Error::other).flatten();
        let content = content.map_err(unreadable(&path))?;
        Self::new(path, content.into(), architecture).await
    }

    async fn new(
        path: PathBuf,
        content: Arc<[u8]>,
        architecture: Architecture,
    ) -> Result<Self, BuildError> {
        elf::preflight(&content, architecture)?;
        let read = content.clone();
        let digest = tokio::task::spawn_blocking(move || sha256(&read)).await;
        let sha256 = digest
            .map_err(std::io::Error::other)
            .map_err(unreadable(&path))?;
        Ok(Self {
            path,
            content,
            sha256,
        })
    }

    /// Packs it.
    ///
    /// # Errors
    /// [`BuildError`], if it is too large for that.
    pub(crate) async fn pack(self) -> Result<Made, BuildError> {
        let Self { path, content, .. } = self;
        let bytes = content.len();
        let package = tokio::task::spawn_blocking(move || Package::new(&content)).await;
        let package = package.map_err(std::io::Error::other).flatten();
        Ok(Made {
            package: package.map_err(unreadable(&path))?,
            bytes,
            bootstrap: path,
        })
    }

    /// Where it is, and its size, for people.
    pub(crate) fn told(&self) -> String {
        let bytes = self.content.len();
        format!("`{}` of {} KB", self.path.display(), bytes / 1000)
    }
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError {
    let path = path.to_owned();
    |source| BuildError::Unreadable { path, source }
}

/// Has the `bootstrap` for Lambda, built where it has to be, and looks whether Lambda can run it.
///
/// # Errors
/// [`BuildError`], if any of that fails.
pub(crate) async fn program(
    origin: &Origin,
    architecture: Architecture,
) -> Result<Program, BuildError> {
    match origin.code()? {
        Code::Given(path) => Program::read(path, architecture).await,
        Code::Sources(sources) => {
            let compiler = compiler(architecture, HOST, has_zigbuild().await)?;
            let bootstrap = compile(&sources, Profile::Lambda, &compiler).await?;
            Program::read(bootstrap, architecture).await
        }
        Code::Carried => {
            let program = carried::program(architecture)
                .ok_or_else(|| BuildError::NotCarried(format!("`{architecture}`")))?;
            Program::new(INSIDE.into(), program.into(), architecture).await
        }
    }
}

/// A machine that builds, in Rust's words.
#[derive(Debug, Clone, Copy)]
struct Host {
    os: &'static str,
    architecture: &'static str,
}

/// This machine.
const HOST: Host = Host {
    os: std::env::consts::OS,
    architecture: std::env::consts::ARCH,
};

/// What compiles for Lambda. `cargo-zigbuild` links against the runtime's glibc, whatever this
/// machine has. Without it this machine's own glibc is linked against, which may be a later one:
/// the preflight tells.
fn compiler(
    architecture: Architecture,
    host: Host,
    has_zigbuild: bool,
) -> Result<Compiler, BuildError> {
    if has_zigbuild {
        let target = format!("{}.{}", architecture.target(), elf::GLIBC);
        Ok(Compiler::Zigbuild { target })
    } else if host.os == "linux" && host.architecture == architecture.in_rust() {
        Ok(Compiler::Host)
    } else {
        Err(BuildError::NoCompiler {
            architecture,
            host: format!("{} on {}", host.os, host.architecture),
        })
    }
}

/// Whether `cargo-zigbuild` is there and runs.
pub(crate) async fn has_zigbuild() -> bool {
    let probe = Command::new("cargo-zigbuild")
        .arg("--version")
        .kill_on_drop(true)
        .output();
    let probe = tokio::time::timeout(PROBE_TIMEOUT, probe).await;
    matches!(probe, Ok(Ok(output)) if output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Host = Host {
        os: "linux",
        architecture: "x86_64",
    };
    const GRAVITON: Host = Host {
        os: "linux",
        architecture: "aarch64",
    };
    const MAC: Host = Host {
        os: "macos",
        architecture: "aarch64",
    };

    #[tokio::test]
    async fn what_is_no_program_that_fits_is_neither_waited_for_nor_read_without_end() {
        let folder = std::env::temp_dir().join(format!("chatctl-pack-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (pipe, sparse) = (folder.join("pipe"), folder.join("sparse"));
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let film = std::fs::File::create(&sparse).unwrap();
        film.set_len(PROGRAM_BYTES_MAX + 1).unwrap();
        for path in [
            pipe,
            sparse,
            folder.clone(),
            "/dev/zero".into(),
            folder.join("none"),
        ] {
            let packed = Program::read(path.clone(), Architecture::X86_64);
            let refused = tokio::time::timeout(6 * PROBE_TIMEOUT, packed).await;
            let refused = refused.expect("not waited for").map(drop).unwrap_err();
            assert!(
                matches!(refused, BuildError::Unreadable { .. }),
                "{refused}"
            );
            assert!(refused.to_string().contains(&path.display().to_string()));
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn zigbuild_is_taken_where_it_is_there_and_links_against_the_runtimes_glibc() {
        for host in [LINUX, GRAVITON, MAC] {
            for (architecture, target) in [
                (Architecture::X86_64, "x86_64-unknown-linux-gnu.2.34"),
                (Architecture::Arm64, "aarch64-unknown-linux-gnu.2.34"),
            ] {
                let target = target.to_owned();
                assert_eq!(
                    compiler(architecture, host, true).unwrap(),
                    Compiler::Zigbuild { target }
                );
            }
        }
    }

    #[test]
    fn plain_cargo_builds_for_the_machine_that_it_runs_on() {
        for (architecture, host) in [
            (Architecture::X86_64, LINUX),
            (Architecture::Arm64, GRAVITON),
        ] {
            assert_eq!(compiler(architecture, host, false).unwrap(), Compiler::Host);
        }
    }

    #[test]
    fn what_plain_cargo_cannot_build_names_what_can() {
        for (architecture, host) in [
            (Architecture::Arm64, LINUX),
            (Architecture::X86_64, GRAVITON),
            (Architecture::Arm64, MAC),
        ] {
            let refused = compiler(architecture, host, false).unwrap_err();
            assert!(
                matches!(refused, BuildError::NoCompiler { .. }),
                "{refused}"
            );
            assert!(refused.hint().contains("cargo install cargo-zigbuild"));
            assert!(refused.hint().contains(&architecture.target()));
        }
    }

    #[test]
    fn architectures_are_called_what_the_template_calls_them() {
        for architecture in Architecture::value_variants() {
            let name = architecture.to_possible_value().unwrap();
            assert_eq!(name.get_name(), architecture.as_str());
        }
    }
}
