//! Python, Node and a browser: found, or installed below `target/`, or named with what to do.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, run, target};

/// A virtual environment with one package.
pub(crate) struct Python(PathBuf);

impl Python {
    /// Makes it, unless it is there already. `requirement` is pip's, such as `name==1.0`.
    pub(crate) fn with(requirement: &str) -> Outcome<Self> {
        let folder = target().join("python").join(requirement.replace("==", "-"));
        let finished = folder.join("finished");
        if !finished.exists() {
            run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder))
            .map_err(|problem| format!("{problem}; on Debian and Ubuntu install `python3-venv`"))?;
            let pip = folder.join("bin/pip");
            run(Command::new(pip).args(["install", "--quiet", requirement]))?;
            // Last, so that one that was interrupted is made again.
            std::fs::write(&finished, requirement)
                .map_err(|error| format!("`{}`: {error}", finished.display()))?;
        }
        Ok(Self(folder))
    }

    /// One of the package's programs.
    pub(crate) fn command(&self, program: &str) -> Command {
        Command::new(self.0.join("bin").join(program))
    }
}

/// Installs a folder's locked npm packages, unless that very lock is installed.
pub(crate) fn node_modules(folder: &Path) -> Outcome {
    let lock = folder.join("package-lock.json");
    let lock = std::fs::read(&lock).map_err(|error| format!("`{}`: {error}", lock.display()))?;
    let installed = folder.join("node_modules/.installed-lock.json");
    if std::fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(folder))
    .map_err(|problem| format!("{problem}; Node 20 or later, with npm, has to be installed"))?;
    std::fs::write(&installed, lock).map_err(|error| format!("`{}`: {error}", installed.display()))
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
    pub(crate) fn find_or_install() -> Outcome<Self> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        if is_root() && on_search_path("apt-get").is_some() {
            run(Command::new("apt-get").args(["update", "--quiet"]))?;
            let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
            run(Command::new("apt-get")
                .args(install)
                .args(["chromium", "fonts-dejavu-core"])
                .env("DEBIAN_FRONTEND", "noninteractive"))?;
        }
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
