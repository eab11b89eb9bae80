//! `chatctl`: your own real-time group chat, on AWS with one command and on your machine with
//! another.
//!
//! This file only wires: it reads the command line, calls the command and turns the outcome into
//! an exit code.
//!
//! # Layout
//! * `cli`: the command line's types.
//! * `config`: `chatctl.toml`, the settings that are kept in a file.
//! * `settings`: command line and environment, checked once.
//! * `commands`: one verb per file.
//! * `build`: the functions' `bootstrap`, by cargo.
//! * `cloud`: what is asked of AWS, as traits, and the traits on AWS.
//! * `stack`: change sets, events and states of stacks.
//! * `functions`: what the functions run.
//! * `packages`: the bucket of packages.
//! * `plan`: what a load needs of AWS and costs there, made without any effect.
//! * `releases`: what was found to work, to go back to.
//! * `policy`: what whoever deploys has to be allowed, made without any effect.
//! * `site`: the page: its objects, publishing and verifying it.
//! * `conversation`: talking to a chat from outside, to see what it promises.
//! * `doctor`: whether this machine and the account have what is needed.
//! * `dial`: connections to the outside, through a proxy if there is one; `fetch`: one HTTP GET.
//! * `sign_in`: the provider that people sign in with.
//! * `telemetry`: what a chat that runs tells of itself, made readable.
//! * `template`: the CloudFormation template, made without any effect.
//! * `protection`: what keeps a chat from being lost.
//! * `tags`: tags of a stack.
//! * `init`: an app of one's own, written to a folder.
//! * `progress`: what a long command tells on its way.
//! * `input`: files that somebody else names.
//! * `wait`: waiting with a deadline.
//! * `output`: the only place that prints.
//! * `error`: what can go wrong, and the exit code it ends in.

mod build;
mod cli;
mod cloud;
mod commands;
mod config;
mod conversation;
mod dial;
mod doctor;
mod error;
mod fetch;
mod functions;
mod init;
mod input;
mod output;
mod packages;
mod plan;
mod policy;
mod progress;
mod protection;
mod releases;
mod settings;
mod sign_in;
mod site;
mod stack;
mod tags;
mod telemetry;
mod template;
mod wait;

use cli::{Cli, Command};
use config::Parsed;
use error::{Error, ExitCode};
use output::Output;
use settings::{
    DeploySettings, DestroySettings, DevSettings, DiffSettings, DoctorSettings, InitSettings,
    LogsSettings, ManSettings, OpenSettings, PlanSettings, RollbackSettings, StatusSettings,
    SynthSettings, UrlsSettings, VerifySettings,
};

fn main() -> std::process::ExitCode {
    // A folder that was deleted under the user's feet has no settings either.
    let folder = std::env::current_dir().unwrap_or_default();
    let parsed = config::parse(std::env::args_os(), &folder);
    if cli::has_no_color(parsed.as_ref().ok().map(|it| &it.cli)) {
        output::without_colours();
    }
    let mut output = Output::of_process();
    let result = parsed.and_then(|Parsed { cli, origin }| {
        if let Some(file) = origin.file() {
            output.note(&format!("settings of `{file}`"));
        }
        for line in origin.set_aside() {
            output.note(&line);
        }
        run(cli, &mut output).map_err(|error| origin.explain(error))
    });
    let code = match result {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            // A command that is interrupted is gone, and what it was at with it.
            let error = match error {
                Error::Interrupted { .. } => Error::Interrupted {
                    goes_on: output.under_way(),
                },
                other => other,
            };
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
        Command::Deploy(args) => commands::deploy::run(&DeploySettings::new(&args)?, output),
        Command::Diff(args) => commands::diff::run(&DiffSettings::new(&args)?, output),
        Command::Urls(args) => commands::urls::run(&UrlsSettings::new(&args)?, output),
        Command::Verify(args) => commands::verify::run(&VerifySettings::new(&args)?, output),
        Command::Rollback(args) => commands::rollback::run(&RollbackSettings::new(&args)?, output),
        Command::Destroy(args) => commands::destroy::run(&DestroySettings::new(&args)?, output),
        Command::Plan(args) => commands::plan::run(&PlanSettings::new(&args)?, output),
        Command::Synth(args) => commands::synth::run(&SynthSettings::new(&args)?, output),
        Command::Status(args) => commands::status::run(&StatusSettings::new(&args)?, output),
        Command::Logs(args) => commands::logs::run(&LogsSettings::new(&args)?, output),
        Command::Open(args) => commands::open::run(&OpenSettings::new(&args)?, output),
        Command::Init(args) => commands::init::run(&InitSettings::new(&args)?, output),
        Command::Doctor(args) => commands::doctor::run(&DoctorSettings::new(&args)?, output),
        Command::Completions(args) => commands::completions::run(&args, output),
        Command::Man(args) => commands::man::run(&ManSettings::new(&args)?, output),
    }
}
