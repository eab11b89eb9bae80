//! What is handed out: one archive with `chatctl`, the functions inside it, and what belongs to a program.
//!
//! The same sources and tools give the same bytes, wherever they lie: no path, no time and no order of a
//! folder gets in.

mod licences;
mod paths;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::paths::Paths;
use crate::cargo::{cargo, executable, target};
use crate::{Outcome, checkout, output_of, run, step, tell};

/// What it is for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The one for Lambda on Graviton.
const TARGET_ARM: &str = "aarch64-unknown-linux-gnu";

/// The glibc of Lambda's runtime `provided.al2023`, after `GLIBC_2.`.
const GLIBC_MINOR: u32 = 34;

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// To be handed out: optimised, without a trace of the folders they were built in.
    Whole,
    /// To be tried: `chatctl` as it is developed, from what has been compiled already.
    Quick,
}

/// Makes the archive, and tells where it is.
pub(crate) fn make(how: How) -> Outcome {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err("`dist` makes what runs on Linux on x86_64, and has to run there".to_owned());
    }
    let folder = target()?.join("dist");
    let building = Building::new(how, &folder)?;
    let bootstrap = step("functions for x86_64", || building.bootstrap(TARGET))?;
    let arm = building.bootstrap_for_arm()?;
    let chatctl = step("chatctl", || building.chatctl(&bootstrap, arm.as_deref()))?;
    let archive = step("archive", || {
        let name = format!("chatctl-{}-{TARGET}", env!("CARGO_PKG_VERSION"));
        let content = folder.join(&name);
        fill(&content, &chatctl)?;
        let archive = folder.join(format!("{name}.tar.gz"));
        pack(&folder, &name, &archive)?;
        sign(&archive)?;
        Ok(archive)
    })?;
    tell(&format!("\n{}", archive.display()));
    Ok(())
}

/// The calls of cargo.
struct Building {
    how: How,
    target: PathBuf,
    paths: Paths,
    has_zigbuild: bool,
}

impl Building {
    fn new(how: How, folder: &Path) -> Outcome<Self> {
        // Of a folder of its own: with other flags nothing that was compiled for developing can be used.
        let target = match how {
            How::Whole => folder.join("build"),
            How::Quick => self::target()?,
        };
        let paths = Paths::of(&target)?;
        let zigbuild = Command::new("cargo-zigbuild")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        Ok(Self {
            how,
            target,
            paths,
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

    /// The functions for a target, which Lambda can run.
    fn bootstrap(&self, target: &str) -> Outcome<PathBuf> {
        let mut build = self.cargo(if self.has_zigbuild {
            "zigbuild"
        } else {
            "build"
        });
        build.args([
            "--package",
            "handlers",
            "--bin",
            "bootstrap",
            "--profile",
            "lambda",
        ]);
        if self.has_zigbuild {
            build.args(["--target", &format!("{target}.2.{GLIBC_MINOR}")]);
        }
        let messages = output_of(&mut build)?;
        let path = executable(&messages, "bootstrap").ok_or("cargo built no `bootstrap`")?;
        let program = std::fs::read(&path).map_err(|error| format!("`bootstrap`: {error}"))?;
        match latest_glibc(&program) {
            Some(minor) if minor > GLIBC_MINOR => Err(format!(
                "`bootstrap` needs glibc 2.{minor}, and Lambda has 2.{GLIBC_MINOR}: `cargo install \
                 cargo-zigbuild` and `pip install ziglang`, then run this again"
            )),
            _ => Ok(path),
        }
    }

    /// Those for Graviton, where they can be built.
    fn bootstrap_for_arm(&self) -> Outcome<Option<PathBuf>> {
        let mut rustc = Command::new("rustc");
        rustc.args(["--print", "target-libdir", "--target", TARGET_ARM]);
        let library = String::from_utf8_lossy(&output_of(&mut rustc)?).into_owned();
        if self.has_zigbuild && Path::new(library.trim()).is_dir() {
            return step("functions for arm64", || self.bootstrap(TARGET_ARM)).map(Some);
        }
        tell(&format!(
            "    without functions for arm64: that takes `cargo-zigbuild` and `rustup target add {TARGET_ARM}`"
        ));
        Ok(None)
    }

    fn chatctl(&self, bootstrap: &Path, arm: Option<&Path>) -> Outcome<PathBuf> {
        let profile = match self.how {
            How::Whole => "dist",
            How::Quick => "dev",
        };
        let mut build = self.cargo("build");
        build.args([
            "--package",
            "chatctl",
            "--bin",
            "chatctl",
            "--features",
            "carry",
        ]);
        build.args(["--profile", profile]);
        build.env("CHATCTL_EMBED_X86_64", bootstrap);
        build.env(
            "CHATCTL_EMBED_ARM64",
            arm.map(Path::as_os_str).unwrap_or_default(),
        );
        let messages = output_of(&mut build)?;
        executable(&messages, "chatctl").ok_or_else(|| "cargo built no `chatctl`".to_owned())
    }
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

/// Puts what is handed out into a folder, which is made anew.
fn fill(folder: &Path, chatctl: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(failed)?;
    }
    let completions = folder.join("completions");
    std::fs::create_dir_all(&completions).map_err(failed)?;
    std::fs::copy(chatctl, folder.join("chatctl")).map_err(failed)?;
    for name in ["README.md", "LICENSE", "CHANGELOG.md"] {
        std::fs::copy(checkout().join(name), folder.join(name)).map_err(failed)?;
    }
    for (shell, file) in [
        ("bash", "chatctl.bash"),
        ("zsh", "_chatctl"),
        ("fish", "chatctl.fish"),
    ] {
        let script = output_of(without_variables(chatctl).args(["completions", shell]))?;
        std::fs::write(completions.join(file), script).map_err(failed)?;
    }
    run(without_variables(chatctl)
        .args(["man", "--out"])
        .arg(folder.join("man")))?;
    let licences = licences::collect()?;
    std::fs::write(folder.join("THIRD-PARTY.txt"), licences).map_err(failed)
}

/// `chatctl` with nobody's settings.
fn without_variables(chatctl: &Path) -> Command {
    let mut command = Command::new(chatctl);
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("CHATCTL_") {
            command.env_remove(variable);
        }
    }
    command.env("CHATCTL_CONFIG", "");
    command
}

/// One folder as a compressed archive that tells neither who made it, nor when.
fn pack(parent: &Path, name: &str, archive: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("`{}`: {error}", archive.display());
    let file = std::fs::File::create(archive).map_err(failed)?;
    let mut tar = Command::new("tar");
    tar.current_dir(parent)
        .args(["--create", "--format=ustar", "--sort=name", "--mtime=@0"])
        .args([
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=u+rwX,go+rX,go-w",
            name,
        ])
        .stdout(Stdio::piped());
    let mut tar = tar
        .spawn()
        .map_err(|error| format!("`tar` cannot be run: {error}"))?;
    let content = tar.stdout.take().ok_or("`tar` writes nothing")?;
    let mut gzip = Command::new("gzip");
    let packed = run(gzip
        .args(["--no-name", "--best"])
        .stdin(content)
        .stdout(file));
    let status = tar.wait().map_err(failed)?;
    packed?;
    if status.success() {
        Ok(())
    } else {
        Err(format!(
            "`tar` failed ({status}); its messages above say why"
        ))
    }
}

/// Writes the archive's SHA-256 beside it, as `sha256sum --check` reads it.
fn sign(archive: &Path) -> Outcome {
    let name = archive.file_name().unwrap_or_default();
    let mut sum = Command::new("sha256sum");
    sum.arg(name)
        .current_dir(archive.parent().unwrap_or(archive));
    let sum = output_of(&mut sum)?;
    let file = archive.with_added_extension("sha256");
    std::fs::write(&file, sum).map_err(|error| format!("`{}`: {error}", file.display()))
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
    fn the_same_files_give_the_same_archive_whenever_they_were_written_and_in_what_order() {
        let folder = std::env::temp_dir().join(format!("xtask-dist-{}", std::process::id()));
        let archive = |name: &str, files: [&str; 2], day: u64| {
            let parent = folder.join(name);
            std::fs::create_dir_all(parent.join("x")).unwrap();
            for file in files {
                let path = parent.join("x").join(file);
                std::fs::write(&path, file).unwrap();
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_hours(24 * day);
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                file.set_modified(time).unwrap();
            }
            let archive = parent.join("x.tar.gz");
            pack(&parent, "x", &archive).unwrap();
            sign(&archive).unwrap();
            let sum = std::fs::read_to_string(parent.join("x.tar.gz.sha256")).unwrap();
            (std::fs::read(archive).unwrap(), sum)
        };
        let one = archive("one", ["a", "b"], 1);
        let two = archive("two", ["b", "a"], 2);
        let other = archive("other", ["b", "c"], 1);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(one, two);
        assert_ne!(one, other);
        assert!(one.1.ends_with("  x.tar.gz\n"), "{}", one.1);
    }
}
