//! `chatctl.toml`: settings that are kept in a file. Each key is the long name of a flag, so a flag
//! that is added is a setting as well, without a word here; flags and variables win over it.
//!
//! A file's values are made the flags' defaults before the command line is read, so that whatever
//! comes after knows nothing of files.
//!
//! # Layout
//! * `find`: where the file is.
//! * `schema`: what may stand in it, out of the command line's own description.
//! * `read`: the file's text as values with their places, checked.
//! * `apply`: values as defaults of the command line.
//! * `error`: what is wrong with a file.

mod apply;
mod error;
mod find;
mod read;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use error::ConfigError;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, Parser};

use crate::cli::Cli;
use crate::error::Error;
use crate::input::{self, What};
use read::{Settings, Value};
use schema::Schema;

/// The file's name.
const NAME: &str = "chatctl.toml";

/// Its bytes at most: far more than all settings of many stages take.
const BYTES_MAX: u64 = 1024 * 1024;

/// A command line with what a file adds to it.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The whole of it.
    pub(crate) cli: Cli,
    /// What of it is the file's.
    pub(crate) origin: Origin,
}

/// What of a command line comes from a file.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    file: Option<String>,
    values: Vec<Value>,
}

impl Origin {
    /// The file, if anything of it counts.
    pub(crate) fn file(&self) -> Option<&str> {
        self.file.as_deref().filter(|_| !self.values.is_empty())
    }

    /// An error as it is for whoever wrote the file: a setting that cannot be used is told with its
    /// place, which `settings` does not know. It names the flag, and the file's keys are called so.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let Error::Settings(refused) = error else {
            return error;
        };
        let text = format!("{refused} {}", refused.hint());
        match self.values.iter().find(|it| names(&text, &it.key)) {
            Some(value) => Error::from(ConfigError::Refused {
                place: value.place.clone(),
                key: value.key.clone(),
                refused: Box::new(refused),
            }),
            None => Error::Settings(refused),
        }
    }
}

/// Whether a text names a flag.
fn names(text: &str, key: &str) -> bool {
    let flag = format!("--{key}");
    text.match_indices(&flag).any(|(at, _)| {
        let next = text[at + flag.len()..].chars().next();
        next.is_none_or(|it| !it.is_ascii_alphanumeric() && it != '-')
    })
}

/// Reads the command line, and the file that is in force where the user is.
///
/// # Errors
/// [`Error::CommandLine`] or [`Error::Config`]. What is wrong with the command line is told first, and
/// help needs no file.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    folder: &Path,
) -> Result<Parsed, Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let by_hand = Cli::try_parse_from(&arguments);
    let may_be_mended =
        matches!(&by_hand, Err(error) if error.kind() == ErrorKind::MissingRequiredArgument);
    if let Err(error) = by_hand
        && !may_be_mended
    {
        return Err(error.into());
    }
    let command = Cli::command().ignore_errors(may_be_mended);
    let matches = command.try_get_matches_from(&arguments)?;
    let is_named = matches.get_one::<OsString>("config").is_some();
    let Some(path) = path(&matches, folder) else {
        return Ok(Parsed {
            cli: Cli::try_parse_from(&arguments)?,
            origin: Origin::default(),
        });
    };
    let shown = path.strip_prefix(folder).unwrap_or(&path);
    let shown = shown.display().to_string();
    // What was found by itself may be anything; what was named may be what a program writes.
    let what = if is_named { What::Anything } else { What::File };
    let text = input::read(&path, what, BYTES_MAX)
        .and_then(|it| String::from_utf8(it).map_err(io::Error::other));
    let text = text.map_err(|source| ConfigError::Unreadable {
        file: shown.clone(),
        source,
    })?;
    let base = path.parent().unwrap_or(folder);
    let settings = Settings::read(&shown, base, &text, &Schema::new(&Cli::command()))?;
    let values = settings.of(stage(&matches).as_deref());
    let (cli, values) = apply::apply(&arguments, values)?;
    Ok(Parsed {
        cli,
        origin: Origin {
            file: Some(shown),
            values,
        },
    })
}

/// The file that was named, where nothing stands for none; or else the one that is there.
fn path(matches: &ArgMatches, folder: &Path) -> Option<PathBuf> {
    match matches.get_one::<OsString>("config") {
        Some(named) if named.is_empty() => None,
        Some(named) => Some(folder.join(named)),
        None => find::find(folder),
    }
}

/// The stage, if it was given by hand.
fn stage(matches: &ArgMatches) -> Option<String> {
    let matches = apply::innermost(matches).1;
    let is_by_hand = apply::is_by_hand(matches, "stage");
    let stage = matches.try_get_one::<String>("stage").ok().flatten();
    stage.filter(|_| is_by_hand).cloned()
}
