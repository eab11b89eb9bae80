//! `cargo xtask`: the project's own chores. Each sets up all that it needs below `target/`.
//!
//! # Layout
//!
//! - `main.rs`: which chore, and how its steps are told.
//! - `test.rs`: everything that has to hold before a change is good.
//! - `dist.rs`: the archive that is handed out.
//! - `audit.rs`: what scanners find in the templates and in the dependencies, and what is accepted.
//! - `cargo.rs`: the calls of cargo, and where it puts things.
//! - `tools.rs`: cargo's components, Python, Node and a browser, found or installed.

mod audit;
mod cargo;
mod dist;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const USAGE: &str = "\
The project's chores.

Usage: cargo xtask <CHORE>

Chores:
  test    format, lints, documentation, dependencies, unit and end-to-end tests, the templates'
          lint and security, the page in a browser; needs cargo, python3 and node, and sets up
          the rest below target/
  audit   of these, what scanners find in the dependencies and the templates, by itself
  dist    target/dist/chatctl-….tar.gz: chatctl with the functions inside, for who has neither Rust nor
          a checkout; `dist --quick` makes one to be tried, from what has been compiled already,
          `dist --check` makes it twice, in two folders, and names what differs
  bench   chatctl measured beside its peers, into bench/README.md; `bench --help` tells more";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => test::all(),
        ["audit"] => audit::all(),
        ["dist"] => dist::make(dist::How::Whole),
        ["dist", "--quick"] => dist::make(dist::How::Quick),
        ["dist", "--check"] => dist::check(),
        ["bench", rest @ ..] => bench(rest),
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

/// Builds and runs the benchmarks, optimised: their clients must not be what is slow.
fn bench(arguments: &[&str]) -> Outcome {
    let mut bench = cargo::cargo("run");
    bench
        .args(["--quiet", "--release", "--package", "bench", "--"])
        .args(arguments);
    // What measures nothing needs nothing.
    let measures_nothing = ["--help", "-h", "--render"];
    if !arguments.iter().any(|it| measures_nothing.contains(it)) {
        bench.env("CHROMIUM", tools::for_benchmarks()?.path());
    }
    run(&mut bench)
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

/// Runs a command to its end, and gives its standard output.
fn output_of(command: &mut Command) -> Outcome<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!(
            "`{program}` failed ({}); its messages above say why",
            output.status
        )),
        Err(error) => Err(format!("`{program}` cannot be run: {error}")),
    }
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

fn checkout() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
