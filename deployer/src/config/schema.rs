//! What may stand in a file: the flags of all commands, by their long names.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};

/// The table of the tags, which are a flag's list of pairs elsewhere.
pub(super) const TAGS: &str = "tags";

/// The flag that it is for.
pub(super) const TAG: &str = "tag";

/// The table of what holds for one stage alone.
pub(super) const STAGES: &str = "stages";

/// The flag that chooses among them.
pub(super) const STAGE: &str = "stage";

/// Flags that are no settings, and why.
pub(super) const NOT_IN_A_FILE: [(&str, &str); 31] = [
    ("access-logs-role", ONE_RUN),
    ("all", ONE_RUN),
    ("allow-replacement", LOSES_DATA),
    ("build", ONE_RUN),
    ("config", "it says which file is read"),
    ("connections", ONE_RUN),
    ("deployer-policy", ONE_RUN),
    ("dev", ONE_RUN),
    ("drift", ONE_RUN),
    ("errors", ONE_RUN),
    ("follow", ONE_RUN),
    ("format", ONE_RUN),
    ("function", ONE_RUN),
    (
        "hotswap",
        "each deploy would leave stack and page alone, and never say so",
    ),
    (
        "json",
        "whoever reads the output says how, and a person would get JSON unasked",
    ),
    ("keep-table", "it lifts a protection, once"),
    ("list", ONE_RUN),
    ("local", ONE_RUN),
    ("name", ONE_RUN),
    ("operator-policy", ONE_RUN),
    ("out", ONE_RUN),
    ("rate", ONE_RUN),
    ("room-size", ONE_RUN),
    ("service-role-policy", ONE_RUN),
    ("since", ONE_RUN),
    ("site", ONE_RUN),
    ("tag", "tags are a table of their own, `[tags]`"),
    ("to", ONE_RUN),
    ("url", ONE_RUN),
    ("watch", ONE_RUN),
    ("yes", "a question that nobody sees protects nobody"),
];

const ONE_RUN: &str = "it is about one run, not about the chat";
const LOSES_DATA: &str = "it is consent to one loss of data, and a file would give it each time";

/// What TOML has to hold for a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Switch,
    Number,
    Text,
    /// A text that is a path, counted from the file's folder.
    Path,
}

impl Kind {
    /// As people read it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Switch => "`true` or `false`",
            Self::Number => "a number",
            Self::Text | Self::Path => "a text in quotes",
        }
    }
}

/// A flag as one command knows it.
#[derive(Debug, Clone)]
pub(super) struct Flag {
    /// The commands' names down to it; none, if it is everybody's.
    pub(super) path: Vec<String>,
    pub(super) arg: Arg,
}

impl Flag {
    pub(super) fn kind(&self) -> Kind {
        if matches!(
            self.arg.get_action(),
            ArgAction::SetTrue | ArgAction::SetFalse
        ) {
            return Kind::Switch;
        }
        let parser = self.arg.get_value_parser();
        let id = parser.type_id();
        if NUMBERS.iter().any(|it| id == it()) {
            Kind::Number
        } else if id == TypeId::of::<PathBuf>() {
            Kind::Path
        } else {
            Kind::Text
        }
    }

    /// Whether it can be given several times.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
    }

    /// Whether the flag takes a value, as the command line itself would judge.
    pub(super) fn check(&self, value: &str) -> Result<(), Refusal> {
        // Alone: what it needs or excludes besides is no matter of its value.
        let parser: ValueParser = self.arg.get_value_parser().clone();
        let alone = Arg::new("value").long("value").value_parser(parser);
        let alone = alone.action(ArgAction::Set);
        let command = Command::new("value").no_binary_name(true).arg(alone);
        let argument = format!("--value={value}");
        let Err(error) = command.try_get_matches_from([argument]) else {
            return Ok(());
        };
        let allowed = match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(values)) => values.clone(),
            _ => Vec::new(),
        };
        let reason = std::error::Error::source(&error).map(ToString::to_string);
        Err(Refusal { reason, allowed })
    }
}

/// Why a flag does not take a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// In the flag's own words, if it has any.
    pub(crate) reason: Option<String>,
    /// All that it takes, if that is a few words.
    pub(crate) allowed: Vec<String>,
}

const NUMBERS: [fn() -> TypeId; 14] = [
    TypeId::of::<u8>,
    TypeId::of::<u16>,
    TypeId::of::<u32>,
    TypeId::of::<u64>,
    TypeId::of::<usize>,
    TypeId::of::<i8>,
    TypeId::of::<i16>,
    TypeId::of::<i32>,
    TypeId::of::<i64>,
    TypeId::of::<isize>,
    TypeId::of::<f32>,
    TypeId::of::<f64>,
    TypeId::of::<std::num::NonZeroU32>,
    TypeId::of::<std::num::NonZeroUsize>,
];

/// All flags of all commands.
#[derive(Debug)]
pub(super) struct Schema(BTreeMap<String, Vec<Flag>>);

impl Schema {
    /// Of a command line.
    pub(super) fn new(command: &Command) -> Self {
        let mut flags = BTreeMap::new();
        collect(command, &[], &mut flags);
        Self(flags)
    }

    /// A flag as each command knows it that has it; none, if there is no such flag.
    pub(super) fn flags(&self, key: &str) -> &[Flag] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// The names of all settings.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.0.keys().map(String::as_str);
        keys.filter(|it| why_not(it).is_none())
    }

    /// The setting or table that is called most alike, if any is at all.
    pub(super) fn nearest(&self, key: &str, is_of_stage: bool) -> Option<String> {
        let tables: &[_] = if is_of_stage {
            &[TAGS]
        } else {
            &[STAGES, TAGS]
        };
        let keys = self.keys().filter(|it| !is_of_stage || *it != STAGE);
        let keys = keys.chain(tables.iter().copied());
        // `history_days` is `history-days` to whoever wrote it.
        let written = key.to_lowercase().replace('_', "-");
        let rated = keys.map(|it| (strsim::damerau_levenshtein(&written, it), it));
        let (distance, nearest) = rated.min()?;
        let is_alike = distance <= 1.max(written.chars().count() / 3);
        is_alike.then(|| nearest.to_owned())
    }
}

/// Why a flag is no setting, if it is none.
pub(super) fn why_not(key: &str) -> Option<&'static str> {
    let found = NOT_IN_A_FILE.iter().find(|(it, _)| *it == key);
    found.map(|(_, reason)| *reason)
}

fn collect(command: &Command, path: &[String], flags: &mut BTreeMap<String, Vec<Flag>>) {
    for arg in command.get_arguments() {
        let Some(long) = arg.get_long().filter(|it| !is_claps_own(it)) else {
            continue;
        };
        flags.entry(long.to_owned()).or_default().push(Flag {
            path: path.to_vec(),
            arg: arg.clone(),
        });
    }
    for inner in command.get_subcommands() {
        let path = [path, &[inner.get_name().to_owned()]].concat();
        collect(inner, &path, flags);
    }
}

fn is_claps_own(long: &str) -> bool {
    ["help", "version"].contains(&long)
}
