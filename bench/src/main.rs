//! `bench`: what chatctl costs in time, memory, calls and money, measured beside what people would
//! pick instead, in one run on one machine.
//!
//! # Layout
//!
//! - `main.rs`: which sections, and where the report goes.
//! - `section.rs`: the sections there are; `sections/` one file or folder each.
//! - `result.rs`: what a section finds, as data; kept in `results.json`.
//! - `statistics.rs`: medians, spreads and fits. Pure.
//! - `peers.rs`: the peers, installed at their pinned versions below `target/`.
//! - `process.rs`: processes, watched: wall time, memory of the whole tree.
//! - `report.rs`: the page and its plots, made of the results alone.

mod error;
mod peers;
#[allow(
    dead_code,
    reason = "some of it is for the sections that are still to come"
)]
mod process;
mod report;
mod result;
mod section;
mod sections;
mod statistics;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::error::BenchError;
use crate::result::{Findings, Results};
use crate::section::{Context, Section};

/// Measure chatctl beside its peers and write bench/README.md
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// Measure these sections alone, separated by commas; what was measured before of the others stays
    /// in the report
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SECTION")]
    only: Vec<Section>,

    /// Fewer runs and smaller rooms: to see that it works, not to quote
    #[arg(long)]
    quick: bool,

    /// Measure chatctl without its peers, where that is possible: to see what a change does, not to
    /// quote
    #[arg(long)]
    alone: bool,

    /// Where results.json, README.md and the plots go; by default `bench`, with `--quick` or
    /// `--alone` `target/bench/quick`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Measure nothing; write the page again from results.json
    #[arg(long, conflicts_with_all = ["only", "quick", "alone"])]
    render: bool,

    #[command(subcommand)]
    inner: Option<Inner>,
}

/// What the benchmarks run of themselves, in a process of its own.
#[derive(Debug, Subcommand)]
#[command(args_conflicts_with_subcommands = true)]
enum Inner {
    /// The bare server that `talk` compares with
    #[command(hide = true)]
    Ceiling,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {}", in_full(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), BenchError> {
    if let Some(Inner::Ceiling) = arguments.inner {
        return sections::talk::ceiling::run();
    }
    let context = Context::new(arguments.quick, arguments.alone)?;
    let out = match (&arguments.out, arguments.quick || arguments.alone) {
        (Some(folder), _) => folder.clone(),
        (None, true) => context.folder().join("quick"),
        (None, false) => context.checkout.join("bench"),
    };
    let mut results = Results::read(&out)?;
    let sections = match arguments.only.as_slice() {
        _ if arguments.render => &[],
        [] => Section::all(),
        some => some,
    };
    let mut failed = Vec::new();
    for section in sections {
        tell(&format!("\n==> {}", section.name()));
        let since = Instant::now();
        match measured(*section, &context) {
            Ok(findings) => {
                for line in findings.lines() {
                    tell(&format!("    {line}"));
                }
                results.put(findings);
                // Whatever stops a later section, what was measured is kept.
                results.write(&out)?;
            }
            Err(error) => {
                tell(&format!("    error: {}", in_full(&error)));
                failed.push(section.name());
            }
        }
        tell(&format!("    took {:.0} s", since.elapsed().as_secs_f64()));
    }
    report::write(&results, &out)?;
    tell(&format!("\n{}", out.join("README.md").display()));
    if failed.is_empty() {
        Ok(())
    } else {
        Err(BenchError::Sections(failed))
    }
}

/// One section, on a thread of its own: the parts that benchmarks share with the end-to-end tests panic
/// where a test would fail, and that must not take the other sections along.
fn measured(section: Section, context: &Context) -> Result<Findings, BenchError> {
    let outcome = std::thread::scope(|scope| scope.spawn(|| section.measure(context)).join());
    outcome.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("it panicked without a word");
        Err(BenchError::Measurement(said.to_owned()))
    })
}

/// An error with what caused it.
fn in_full(error: &BenchError) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |it| it.source());
    let chain: Vec<String> = chain.map(ToString::to_string).collect();
    chain.join(": ")
}

#[expect(clippy::print_stdout, reason = "a benchmark tells what it found")]
fn tell(line: &str) {
    println!("{line}");
}
