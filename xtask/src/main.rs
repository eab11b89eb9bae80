//! `cargo xtask`: the project's own chores. Each sets up all that it needs below `target/`.
//!
//! # Layout
//!
//! - `main.rs`: which chore, and how its steps are told.
//! - `test.rs`: everything that has to hold before a change is good.
//! - `tools.rs`: Python, Node and a browser, found or installed.

mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

const USAGE: &str = "\
The project's chores.

Usage: cargo xtask <CHORE>

Chores:
  test    format, lints, documentation, unit and end-to-end tests, the template's lint, the page
          in a browser; needs cargo, python3 and node, and sets up the rest below target/";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => test::all(),
        [] | ["help" | "--help" | "-h"] => {
            tell(USAGE);
            Ok(())
        }
        other => {
            tell(USAGE);
            tell(&format!("\nerror: `{}` is no chore", other.join(" ")));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tell(&format!("\nerror: {problem}"));
            ExitCode::FAILURE
        }
    }
}

/// What stopped a chore, in a sentence with its remedy.
type Outcome<T = ()> = Result<T, String>;

#[expect(clippy::print_stdout, reason = "a chore tells how far it is")]
fn tell(line: &str) {
    println!("{line}");
}

/// Runs one step of a chore, telling its name first and its time afterwards.
fn step<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    tell(&format!("\n==> {name}"));
    let since = Instant::now();
    let outcome = work().map_err(|problem| format!("{name}: {problem}"))?;
    tell(&format!(
        "    {name}: ok, {:.1} s",
        since.elapsed().as_secs_f64()
    ));
    Ok(outcome)
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Outcome {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "`{program}` failed ({status}); its messages above say why"
        )),
        Err(error) => Err(format!("`{program}` cannot be run: {error}")),
    }
}

/// The cargo that runs this program.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The variables that tell this program which package it is of would make some build scripts run
    // again.
    for (variable, _) in std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    }) {
        cargo.env_remove(variable);
    }
    cargo.current_dir(checkout());
    cargo
}

fn checkout() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Where everything goes that is made: cargo's own folder, wherever the user put it.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), PathBuf::from)
}
