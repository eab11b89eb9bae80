//! The calls of cargo that make what is handed out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::How;
use super::paths::Paths;
use crate::cargo::{cargo, executable};
use crate::{Outcome, output_of, step, tell};

/// The glibc of Lambda's runtime `provided.al2023`, after `GLIBC_2.`.
const GLIBC_MINOR: u32 = 34;

/// One that Lambda has, and people's machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Processor {
    X86_64,
    Arm64,
}

impl Processor {
    pub(super) const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// The one of a machine, by Rust's words for what that is.
    pub(super) fn of(system: &str, processor: &str) -> Outcome<Self> {
        match (system, processor) {
            ("linux", "x86_64") => Ok(Self::X86_64),
            ("linux", "aarch64") => Ok(Self::Arm64),
            _ => Err(format!(
                "`dist` makes what runs on Linux, where it has to run itself, on x86_64 or aarch64; this is \
                 {system} on {processor}"
            )),
        }
    }

    /// Rust's target.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// AWS's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// What tells `chatctl`'s build script where its functions are.
    fn variable(self) -> &'static str {
        match self {
            Self::X86_64 => "CHATCTL_EMBED_X86_64",
            Self::Arm64 => "CHATCTL_EMBED_ARM64",
        }
    }
}

/// The calls, for a machine.
pub(super) struct Building {
    how: How,
    here: Processor,
    target: PathBuf,
    paths: Paths,
    has_zigbuild: bool,
}

impl Building {
    /// With `target` as cargo's folder.
    pub(super) fn new(how: How, here: Processor, target: PathBuf) -> Outcome<Self> {
        let zigbuild = Command::new("cargo-zigbuild")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        Ok(Self {
            how,
            here,
            paths: Paths::of(&target)?,
            target,
            has_zigbuild: zigbuild.is_ok_and(|it| it.success()),
        })
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = cargo(command);
        cargo.env("CARGO_TARGET_DIR", &self.target);
        if self.how == How::Whole {
            cargo
                .env("CARGO_ENCODED_RUSTFLAGS", self.paths.for_rust())
                // Programs compiled from C tell their files' names, too.
                .env("CFLAGS", self.paths.for_c())
                .env("CC_SHELL_ESCAPED_FLAGS", "1")
                .env("SOURCE_DATE_EPOCH", "0")
                .env("CARGO_INCREMENTAL", "0");
        }
        cargo.args(["--message-format", "json-render-diagnostics"]);
        cargo
    }

    /// The functions for each processor that they can be built for here, in a folder, named by AWS's word
    /// for it.
    pub(super) fn functions(&self, folder: &Path) -> Outcome<Vec<(Processor, PathBuf)>> {
        let mut made = Vec::new();
        for processor in Processor::ALL {
            let name = processor.name();
            let can = processor == self.here || (self.has_zigbuild && has_target(processor)?);
            if !can {
                tell(&format!("\n==> {}", without(processor)));
                continue;
            }
            let path = folder.join(name);
            step(&format!("functions for {name}"), || {
                keep(&self.bootstrap(processor)?, &path)
            })?;
            made.push((processor, path));
        }
        Ok(made)
    }

    /// The functions for a processor, which Lambda can run.
    fn bootstrap(&self, processor: Processor) -> Outcome<PathBuf> {
        let command = if self.has_zigbuild {
            "zigbuild"
        } else {
            "build"
        };
        let mut build = self.cargo(command);
        build.args(["--package", "handlers", "--bin", "bootstrap"]);
        build.args(["--profile", "lambda"]);
        if self.has_zigbuild {
            let target = processor.target();
            build.args(["--target", &format!("{target}.2.{GLIBC_MINOR}")]);
        }
        let messages = output_of(&mut build)?;
        let path = executable(&messages, "bootstrap").ok_or("cargo built no `bootstrap`")?;
        match latest_glibc(&read(&path)?) {
            Some(minor) if minor > GLIBC_MINOR => Err(format!(
                "`bootstrap` needs glibc 2.{minor}, and Lambda has 2.{GLIBC_MINOR}: `cargo install \
                 cargo-zigbuild` and `pip install ziglang`, then run this again"
            )),
            _ => Ok(path),
        }
    }

    /// The program that carries these functions.
    pub(super) fn chatctl(&self, functions: &[(Processor, PathBuf)]) -> Outcome<PathBuf> {
        let profile = match self.how {
            How::Whole => "dist",
            How::Quick => "dev",
        };
        let mut build = self.cargo("build");
        if self.how == How::Quick {
            // The program that is built for developing stays what it is.
            build
                .env("CARGO_BUILD_BUILD_DIR", &self.target)
                .env("CARGO_TARGET_DIR", self.target.join("dist/quick"));
        }
        build.args(["--package", "chatctl", "--bin", "chatctl"]);
        build.args(["--features", "carry", "--profile", profile]);
        for processor in Processor::ALL {
            let function = functions.iter().find(|(its, _)| *its == processor);
            let path = function.map(|(_, path)| path.as_os_str());
            build.env(processor.variable(), path.unwrap_or_default());
        }
        let messages = output_of(&mut build)?;
        let path = executable(&messages, "chatctl").ok_or("cargo built no `chatctl`")?;
        if let Some(minor) = latest_glibc(&read(&path)?) {
            tell(&format!(
                "    it runs on Linux with glibc 2.{minor} or later"
            ));
        }
        Ok(path)
    }
}

/// Why there are no functions for a processor, with the remedy.
fn without(processor: Processor) -> String {
    format!(
        "no functions for {}: that takes `cargo-zigbuild`, `pip install ziglang` and `rustup target add {}`",
        processor.name(),
        processor.target()
    )
}

/// Whether rustc has the standard library for a processor.
fn has_target(processor: Processor) -> Outcome<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", processor.target()]);
    let library = String::from_utf8_lossy(&output_of(&mut rustc)?).into_owned();
    Ok(Path::new(library.trim()).is_dir())
}

fn read(program: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(program).map_err(|error| format!("`{}`: {error}", program.display()))
}

/// Copies a program, unless that very one is there: `chatctl` would be compiled again for its date.
fn keep(program: &Path, path: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("`{}`: {error}", path.display());
    let content = read(program)?;
    if std::fs::read(path).is_ok_and(|it| it == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(path, content).map_err(failed)
}

/// The latest glibc that a program names, the part after `2.`. The names of the versions stand in it
/// each with a zero byte at its end.
fn latest_glibc(program: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"GLIBC_2.";
    let found = program.windows(NAME.len()).enumerate();
    let found = found.filter(|(_, window)| *window == NAME);
    let minors = found.filter_map(|(at, _)| {
        let rest = program.get(at + NAME.len()..)?;
        let digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
    });
    minors.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_glibc_counts_as_a_number() {
        let program = b"\x7fELF\0GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0";
        assert_eq!(latest_glibc(program), Some(34));
        assert_eq!(latest_glibc(b"GLIBC_2."), None);
        assert_eq!(latest_glibc(b""), None);
    }

    #[test]
    fn an_archive_is_for_the_machine_that_makes_it_and_no_other_system_makes_one() {
        for (processor, target) in [
            ("x86_64", "x86_64-unknown-linux-gnu"),
            ("aarch64", "aarch64-unknown-linux-gnu"),
        ] {
            assert_eq!(Processor::of("linux", processor).unwrap().target(), target);
        }
        for (system, processor) in [("macos", "aarch64"), ("linux", "riscv64")] {
            let refused = Processor::of(system, processor).unwrap_err();
            assert!(
                refused.contains(&format!("{system} on {processor}")),
                "{refused}"
            );
        }
    }

    #[test]
    fn functions_that_cannot_be_made_are_named_with_what_it_takes() {
        let told = without(Processor::Arm64);
        assert!(told.contains("no functions for arm64"), "{told}");
        assert!(
            told.contains("rustup target add aarch64-unknown-linux-gnu"),
            "{told}"
        );
    }

    #[test]
    fn a_program_that_is_the_same_is_not_written_again() {
        let folder = std::env::temp_dir().join(format!("xtask-keep-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program");
        let kept = folder.join("functions/x86_64");
        std::fs::write(&program, "one").unwrap();
        keep(&program, &kept).unwrap();
        let long_ago = std::time::UNIX_EPOCH;
        let file = std::fs::File::options().write(true).open(&kept).unwrap();
        file.set_modified(long_ago).unwrap();
        keep(&program, &kept).unwrap();
        let modified = std::fs::metadata(&kept).unwrap().modified().unwrap();
        std::fs::write(&program, "two").unwrap();
        keep(&program, &kept).unwrap();
        let content = std::fs::read_to_string(&kept).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(modified, long_ago);
        assert_eq!(content, "two");
    }
}
