//! `chatctl`: your own real-time group chat, on AWS with one command and on your machine with
//! another.
//!
//! This file only wires: it reads the command line, calls the command and turns the outcome into
//! an exit code.
//!
//! # Layout
//! * `cli`: the command line's types.
//! * `settings`: command line and environment, checked once.
//! * `commands`: one verb per file.
//! * `build`: the functions' `bootstrap`, by cargo.
//! * `site`: what is published beside `wwwroot`.
//! * `template`: the CloudFormation template, made without any effect.
//! * `output`: the only place that prints.
//! * `error`: what can go wrong, and the exit code it ends in.

mod build;
mod cli;
mod commands;
mod error;
mod output;
mod settings;
mod site;
mod template;

use clap::Parser;

use cli::{Cli, Command};
use error::{Error, ExitCode};
use output::Output;
use settings::{DevSettings, SynthSettings};

fn main() -> std::process::ExitCode {
    let mut output = Output::of_process();
    let result = match Cli::try_parse() {
        Ok(cli) => run(cli, &mut output),
        Err(interruption) => Err(Error::CommandLine(interruption)),
    };
    let code = match result {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    };
    output.finish();
    code.into()
}

fn run(cli: Cli, output: &mut Output) -> Result<(), Error> {
    match cli.command {
        Command::Dev(args) => commands::dev::run(&DevSettings::new(&args)?, output),
        Command::Synth(args) => commands::synth::run(&SynthSettings::new(&args)?, output),
    }
}
