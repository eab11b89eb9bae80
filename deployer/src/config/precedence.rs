//! Which of two settings counts that exclude each other: the one that was said more explicitly. A flag wins
//! over a variable, that over the table of the stage, and that over what the file says for all stages.
//!
//! The command line's own rules know one half of it: they take a variable for a flag, and do not see a
//! default, which is what a file's values are.

use std::cmp::Reverse;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::ConfigError;
use super::apply::innermost;
use super::read::{Place, Value};

/// What excludes others at one value alone, which no rule of the command line can say.
const AT_A_VALUE: [(&str, &str, &[&str]); 3] = [
    ("alarms", "off", &["alarm-email", "alarm-topic"]),
    ("auth", "none", &["issuer", "audience"]),
    ("cdn", "off", &["domain", "certificate-arn"]),
];

/// How explicitly something was said, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    ForAllStages,
    ForOneStage,
    Variable,
    Flag,
}

/// A setting as it was said.
#[derive(Debug)]
struct Said {
    key: String,
    rank: Rank,
    value: String,
    /// Where, in a file.
    place: Option<Place>,
    /// Whether it says that there is none, by an empty text or a switch that is off.
    is_nothing: bool,
}

/// What does not count, because something that excludes it was said more explicitly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetAside {
    key: String,
    what: String,
    /// What counts instead; nothing, if nobody misses what was set aside.
    beside: Option<String>,
}

/// Which settings do not count, of a command line, its variables and a file's values.
///
/// # Errors
/// [`ConfigError`], if two exclude each other that were said in the same way. Two flags are the command line's
/// own to refuse.
pub(super) fn weigh(
    cli: &Command,
    arguments: &[OsString],
    values: &[Value],
) -> Result<Vec<SetAside>, ConfigError> {
    let free = without_conflicts(cli.clone()).ignore_errors(true);
    // Help is asked for.
    let Ok(matches) = free.try_get_matches_from(arguments) else {
        return Ok(Vec::new());
    };
    let (path, matches) = innermost(&matches);
    let command = path
        .iter()
        .try_fold(cli, |command, name| command.find_subcommand(name));
    let Some(command) = command else {
        return Ok(Vec::new());
    };
    let mut said = said(command, matches, values);
    said.sort_by_key(|it| (it.is_nothing, Reverse(it.rank)));
    let (mut counting, mut aside) = (Vec::<Said>::new(), Vec::new());
    for one in said {
        match counting.iter().find(|it| excludes(command, it, &one)) {
            Some(_) if one.is_nothing => aside.push(SetAside::silently(one)),
            Some(other) if other.rank > one.rank => aside.push(SetAside::new(one, other)),
            Some(other) if is_refused_elsewhere(&one, other) => counting.push(one),
            Some(other) => return Err(both(&one, other)),
            None => counting.push(one),
        }
    }
    Ok(aside)
}

/// A command line that does not read the variables of what does not count.
pub(super) fn without_variables(mut command: Command, aside: &[SetAside]) -> Command {
    let commands: Vec<_> = command.get_subcommands().cloned().collect();
    for inner in commands {
        let is_aside = |arg: &&Arg| aside.iter().any(|it| it.names(arg));
        for arg in inner.get_arguments().filter(is_aside) {
            command = command.mut_subcommand(inner.get_name(), |inner| {
                inner.mut_arg(arg.get_id(), |arg| arg.env(Resettable::Reset))
            });
        }
    }
    command
}

impl SetAside {
    fn new(one: Said, other: &Said) -> Self {
        Self {
            what: one.shown(false),
            beside: Some(other.shown(at_value(other, &one.key))),
            key: one.key,
        }
    }

    fn silently(one: Said) -> Self {
        Self {
            what: String::new(),
            beside: None,
            key: one.key,
        }
    }

    /// Whether it is this setting.
    pub(super) fn is(&self, key: &str) -> bool {
        self.key == key
    }

    fn names(&self, arg: &Arg) -> bool {
        arg.get_long().is_some_and(|it| self.is(it))
    }

    /// What people read of all that does not count, a line for each reason.
    pub(super) fn lines(all: &[Self]) -> Vec<String> {
        let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
        for it in all {
            let Some(beside) = it.beside.as_deref() else {
                continue;
            };
            match lines.iter_mut().find(|(reason, _)| *reason == beside) {
                Some((_, what)) => what.push(&it.what),
                None => lines.push((beside, vec![&it.what])),
            }
        }
        let lines = lines.into_iter();
        lines
            .map(|(beside, what)| {
                format!("beside {beside} this does not count: {}", what.join(", "))
            })
            .collect()
    }
}

impl Said {
    /// As its writer knows it.
    fn shown(&self, with_value: bool) -> String {
        let Self { key, value, .. } = self;
        let variable = format!("CHATCTL_{}", key.to_uppercase().replace('-', "_"));
        match (&self.place, self.rank, with_value) {
            (Some(place), _, true) => format!("`{key} = \"{value}\"` ({place})"),
            (Some(place), _, false) => format!("`{key}` ({place})"),
            (None, Rank::Flag, true) => format!("`--{key} {value}`"),
            (None, Rank::Flag, false) => format!("`--{key}`"),
            (None, _, true) => format!("`{variable}={value}`"),
            (None, _, false) => format!("`{variable}`"),
        }
    }
}

fn without_conflicts(command: Command) -> Command {
    let commands = command.get_subcommands().map(|it| it.get_name().to_owned());
    let commands: Vec<_> = commands.collect();
    commands.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |inner| {
            inner.mut_args(|arg| arg.conflicts_with(Resettable::<clap::Id>::Reset))
        })
    })
}

/// Each setting of a command once, as it was said most explicitly.
fn said(command: &Command, matches: &ArgMatches, values: &[Value]) -> Vec<Said> {
    let arguments = command.get_arguments();
    arguments
        .filter_map(|arg| {
            let key = arg.get_long()?;
            by_hand(arg, key, matches).or_else(|| {
                let value = values.iter().find(|it| it.key == key)?;
                Some(in_file(arg, value))
            })
        })
        .collect()
}

fn by_hand(arg: &Arg, key: &str, matches: &ArgMatches) -> Option<Said> {
    let id = arg.get_id().as_str();
    let rank = match matches.value_source(id)? {
        ValueSource::CommandLine => Rank::Flag,
        ValueSource::EnvVariable => Rank::Variable,
        _ => return None,
    };
    let raw = matches.try_get_raw(id).ok().flatten()?;
    let values: Vec<_> = raw.map(|it| it.to_string_lossy()).collect();
    // What a switch makes of `no` or `0` is its own to know.
    let is_off = is_switch(arg) && matches!(matches.try_get_one::<bool>(id), Ok(Some(false)));
    Some(Said {
        key: key.to_owned(),
        rank,
        value: values.join(","),
        place: None,
        is_nothing: is_off || values.iter().all(|it| it.is_empty()),
    })
}

fn in_file(arg: &Arg, value: &Value) -> Said {
    let is_off = is_switch(arg) && value.values == ["false"];
    Said {
        key: value.key.clone(),
        rank: if value.is_of_stage {
            Rank::ForOneStage
        } else {
            Rank::ForAllStages
        },
        value: value.values.join(","),
        place: Some(value.place.clone()),
        is_nothing: is_off || value.values.iter().all(String::is_empty),
    }
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// Whether two settings exclude each other.
fn excludes(command: &Command, one: &Said, other: &Said) -> bool {
    is_conflict(command, one, other)
        || is_conflict(command, other, one)
        || (!other.is_nothing && (at_value(one, &other.key) || at_value(other, &one.key)))
}

/// Whether the command line has a rule that this one excludes the other.
fn is_conflict(command: &Command, one: &Said, other: &Said) -> bool {
    let is_of = |arg: &Arg, said: &Said| arg.get_long() == Some(said.key.as_str());
    command
        .get_arguments()
        .filter(|arg| is_of(arg, one))
        .flat_map(|arg| command.get_arg_conflicts_with(arg))
        .any(|arg| is_of(arg, other))
}

/// Whether this one excludes the other by its value.
fn at_value(one: &Said, other: &str) -> bool {
    AT_A_VALUE.iter().any(|(key, value, excluded)| {
        one.key == *key && one.value == *value && excluded.contains(&other)
    })
}

/// Two flags are the command line's to refuse, and what excludes by its value is that of the settings.
fn is_refused_elsewhere(one: &Said, other: &Said) -> bool {
    one.rank == Rank::Flag || at_value(one, &other.key) || at_value(other, &one.key)
}

fn both(one: &Said, other: &Said) -> ConfigError {
    let key = one.key.clone();
    match &one.place {
        Some(place) => ConfigError::BothInFile {
            place: place.clone(),
            key,
            other: other.key.clone(),
        },
        None => ConfigError::BothVariables {
            one: one.shown(false),
            other: other.shown(false),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// A variable that cargo sets for its tests, in the place of one of ours.
    const TEXT: &str = "CARGO_PKG_NAME";
    const NUMBER: &str = "CARGO_PKG_VERSION_MAJOR";
    const EMPTY: &str = "CARGO_PKG_HOMEPAGE";

    fn with_variables(variables: &[(&str, &'static str)]) -> Command {
        let command = Cli::command();
        variables.iter().fold(command, |command, (id, variable)| {
            command.mut_subcommand("deploy", |inner| {
                inner.mut_arg(*id, |arg| arg.env(*variable))
            })
        })
    }

    /// What is told, and whether the command line then takes it.
    fn weighed(
        variables: &[(&str, &'static str)],
        flags: &[&str],
    ) -> Result<(Vec<String>, ArgMatches), String> {
        let command = with_variables(variables);
        let arguments = ["chatctl", "deploy"].iter().chain(flags);
        let arguments: Vec<_> = arguments.map(OsString::from).collect();
        let aside = weigh(&command, &arguments, &[]).map_err(|it| it.to_string())?;
        let matches = without_variables(command, &aside).try_get_matches_from(arguments);
        let matches = matches.map_err(|it| it.to_string())?;
        let deploy = matches.subcommand_matches("deploy").unwrap().clone();
        Ok((SetAside::lines(&aside), deploy))
    }

    #[test]
    fn a_flag_sets_a_variable_aside_that_it_excludes() {
        let (told, deploy) = weighed(&[("alarm_email", TEXT)], &["--alarm-topic", "arn"]).unwrap();
        assert_eq!(
            told,
            ["beside `--alarm-topic` this does not count: `CHATCTL_ALARM_EMAIL`"]
        );
        assert_eq!(deploy.get_one::<String>("alarm_email"), None);

        let variables = [("wwwroot", TEXT), ("history_days", NUMBER)];
        let (told, deploy) = weighed(&variables, &["--hotswap"]).unwrap();
        assert_eq!(
            told,
            ["beside `--hotswap` this does not count: `CHATCTL_WWWROOT`, `CHATCTL_HISTORY_DAYS`"]
        );
        assert_eq!(deploy.get_one::<u16>("history_days"), Some(&7));

        let (told, deploy) = weighed(&[("domain", TEXT)], &["--cdn", "off"]).unwrap();
        assert_eq!(
            told,
            ["beside `--cdn off` this does not count: `CHATCTL_DOMAIN`"]
        );
        assert_eq!(deploy.get_one::<String>("domain"), None);
        // Alone, or beside what it goes with, it counts.
        let (told, deploy) = weighed(&[("domain", TEXT)], &["--cdn", "on"]).unwrap();
        assert_eq!(told, [""; 0]);
        assert!(deploy.get_one::<String>("domain").is_some());
    }

    #[test]
    fn two_of_the_same_kind_are_refused() {
        let both = [("alarm_email", TEXT), ("alarm_topic", TEXT)];
        assert_eq!(
            weighed(&both, &[]).unwrap_err(),
            "`CHATCTL_ALARM_TOPIC` does not go with `CHATCTL_ALARM_EMAIL`"
        );
        let flags = ["--alarm-email", "a@b", "--alarm-topic", "arn"];
        let refused = weighed(&[], &flags).unwrap_err();
        assert!(refused.contains("cannot be used with"), "{refused}");
        // A flag is nobody's equal among them.
        let (told, _) = weighed(&both, &["--alarms", "off"]).unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn a_variable_that_is_set_to_nothing_excludes_nothing() {
        for variables in [
            &[("alarm_email", EMPTY), ("alarm_topic", TEXT)][..],
            &[("hotswap", EMPTY), ("history_days", NUMBER)],
            // `0` is off.
            &[("hotswap", NUMBER), ("history_days", NUMBER)],
        ] {
            let (told, deploy) = weighed(variables, &[]).unwrap();
            assert_eq!(told, [""; 0], "{variables:?}");
            assert!(!deploy.get_flag("hotswap"));
            let (other, _) = variables[1];
            let source = deploy.value_source(other);
            assert_eq!(source, Some(ValueSource::EnvVariable), "{variables:?}");
        }
    }
}
