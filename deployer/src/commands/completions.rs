//! `chatctl completions`: what a shell needs to complete command lines.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::error::Error;
use crate::output::Output;

/// Prints the script for a shell, and nothing else.
///
/// # Errors
/// [`Error`], if it cannot be printed.
pub(crate) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "chatctl", &mut script);
    output.data(&String::from_utf8_lossy(&script))?;
    Ok(())
}
