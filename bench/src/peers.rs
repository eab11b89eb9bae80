//! The peers, installed below `target/bench` at the versions that `bench/peers` pins: a folder each,
//! with `package.json` and `package-lock.json` for npm, or `requirements.txt` for pip.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::BenchError;
use crate::process;
use crate::section::Context;

/// Installs the npm packages of `bench/peers/<name>`, with whatever else lies there, and gives the
/// folder.
///
/// # Errors
/// If npm fails.
pub(crate) fn node(context: &Context, name: &str) -> Result<PathBuf, BenchError> {
    install(context, name, "package-lock.json", |folder| {
        let flags = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
        process::output_of(Command::new("npm").args(flags).current_dir(folder)).map(|_| ())
    })
}

/// Installs the Python packages of `bench/peers/<name>` into an environment of their own, and gives
/// the folder of its programs.
///
/// # Errors
/// If Python or pip fail.
pub(crate) fn python(context: &Context, name: &str) -> Result<PathBuf, BenchError> {
    let folder = install(context, name, "requirements.txt", |folder| {
        process::output_of(
            Command::new("python3")
                .args(["-m", "venv", "venv"])
                .current_dir(folder),
        )?;
        let flags = ["install", "--quiet", "--disable-pip-version-check"];
        process::output_of(
            Command::new(folder.join("venv/bin/pip"))
                .args(flags)
                .args(["-r", "requirements.txt"])
                .current_dir(folder),
        )
        .map(|_| ())
    })?;
    Ok(folder.join("venv/bin"))
}

/// Copies the peer's files, and installs unless the very same pins are installed already.
fn install(
    context: &Context,
    name: &str,
    pins: &str,
    work: impl FnOnce(&Path) -> Result<(), BenchError>,
) -> Result<PathBuf, BenchError> {
    let source = context.checkout.join("bench/peers").join(name);
    let folder = context.folder().join("peers").join(name);
    copy(&source, &folder)?;
    let pinned = read(&source.join(pins))?;
    let stamp = folder.join(".installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|it| it == pinned) {
        return Ok(folder);
    }
    crate::tell(&format!("    installing {name}"));
    work(&folder)?;
    std::fs::write(&stamp, pinned).map_err(|source| BenchError::File {
        path: stamp,
        source,
    })?;
    Ok(folder)
}

fn read(path: &Path) -> Result<String, BenchError> {
    std::fs::read_to_string(path).map_err(|source| BenchError::File {
        path: path.to_owned(),
        source,
    })
}

fn copy(from: &Path, to: &Path) -> Result<(), BenchError> {
    let error = |path: &Path| {
        let path = path.to_owned();
        |source| BenchError::File { path, source }
    };
    std::fs::create_dir_all(to).map_err(error(to))?;
    for entry in std::fs::read_dir(from).map_err(error(from))? {
        let entry = entry.map_err(error(from))?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            if entry.file_name() != "node_modules" {
                copy(&entry.path(), &target)?;
            }
        } else {
            std::fs::copy(entry.path(), &target).map_err(error(&target))?;
        }
    }
    Ok(())
}
