//! A file's values as defaults of the command line.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::read::Value;
use super::schema::{Flag, Schema};
use crate::cli::Cli;

/// Reads a command line with a file's values as defaults, and gives those that count.
///
/// # Errors
/// [`clap::Error`], if the command line is wrong.
pub(super) fn apply(
    command: Command,
    arguments: &[OsString],
    values: Vec<Value>,
) -> Result<(Cli, Vec<Value>), clap::Error> {
    let command = with_defaults(command, &values);
    let matches = match command.clone().try_get_matches_from(arguments) {
        // What another flag needs has to be given, and a default is not. So it is.
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            let missing = missing(&error);
            let is_missing = |it: &&Value| missing.iter().any(|name| is_flag(name, &it.key));
            let given: Vec<_> = values.iter().filter(is_missing).collect();
            if given.is_empty() {
                return Err(error);
            }
            command.try_get_matches_from(with_flags(arguments, &given))?
        }
        other => other?,
    };
    let cli = Cli::from_arg_matches(&matches)?;
    let (path, innermost) = innermost(&matches);
    let schema = Schema::new(&Cli::command());
    let counts = |value: &Value| {
        let mut flags = schema.flags(&value.key).iter();
        flags.any(|flag| {
            let is_known = flag.path.is_empty() || flag.path == path;
            is_known && !is_by_hand(innermost, flag.arg.get_id().as_str())
        })
    };
    Ok((cli, values.into_iter().filter(counts).collect()))
}

fn with_defaults(mut command: Command, values: &[Value]) -> Command {
    let schema = Schema::new(&command);
    for value in values {
        for flag in schema.flags(&value.key) {
            command = with_default(command, &flag.path, flag, &value.values);
        }
    }
    command
}

fn with_default(command: Command, path: &[String], flag: &Flag, values: &[String]) -> Command {
    match path {
        [] => command.mut_arg(flag.arg.get_id().as_str(), |arg| {
            arg.required(false).default_values(values.to_vec())
        }),
        [name, path @ ..] => {
            command.mut_subcommand(name, |inner| with_default(inner, path, flag, values))
        }
    }
}

/// What an error says is missing.
fn missing(error: &clap::Error) -> Vec<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(names)) => names.clone(),
        Some(ContextValue::String(name)) => vec![name.clone()],
        _ => Vec::new(),
    }
}

/// Whether `--key <VALUE>` is that flag's.
fn is_flag(shown: &str, key: &str) -> bool {
    let name = shown.split([' ', '=']).next().unwrap_or_default();
    name.strip_prefix("--") == Some(key)
}

/// The command line with these flags behind it.
fn with_flags(arguments: &[OsString], given: &[&Value]) -> Vec<OsString> {
    let end = arguments.iter().position(|it| it == "--");
    let (flags, rest) = arguments.split_at(end.unwrap_or(arguments.len()));
    let added = given.iter().flat_map(|value| {
        let flag = |it: &String| OsString::from(format!("--{}={it}", value.key));
        value.values.iter().map(flag).collect::<Vec<_>>()
    });
    flags
        .iter()
        .cloned()
        .chain(added)
        .chain(rest.iter().cloned())
        .collect()
}

/// What was read for the command that is meant, and the names that lead to it.
pub(super) fn innermost(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut path, mut innermost) = (Vec::new(), matches);
    while let Some((name, inner)) = innermost.subcommand() {
        path.push(name.to_owned());
        innermost = inner;
    }
    (path, innermost)
}

/// Whether a flag or its variable was given.
pub(super) fn is_by_hand(matches: &ArgMatches, id: &str) -> bool {
    let is_known = matches.try_contains_id(id).is_ok();
    is_known
        && matches!(
            matches.value_source(id),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
}
