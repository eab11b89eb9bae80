//! What is wrong with a file, and what the user can do about it.

use std::io;

use super::read::Place;
use super::schema::Refusal;
use crate::settings::SettingsError;
use crate::template::StageNameError;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It cannot be read.
    #[error("`{file}` cannot be read")]
    Unreadable {
        /// The file.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is no TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// Nothing is called so.
    #[error("{place}: there is no setting `{key}`")]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What may be meant.
        nearest: Option<String>,
    },
    /// It is a flag and no setting.
    #[error("{place}: `{key}` cannot be set in a file: {reason}")]
    NotInFile {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// A stage cannot choose a stage.
    #[error("{place}: `stage` cannot be set for one stage")]
    StageInStage {
        /// Where.
        place: Place,
    },
    /// No stage is called so.
    #[error("{place}: {reason}")]
    StageName {
        /// Where.
        place: Place,
        /// What it is.
        reason: StageNameError,
    },
    /// It is a text where it has to be a number, or the like.
    #[error("{place}: `{key}` has to be {wanted}, and is {found}")]
    WrongType {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What it is.
        found: &'static str,
        /// What it has to be.
        wanted: String,
    },
    /// The flag takes no such value.
    #[error(
        "{place}: `{key}` cannot be `{value}`{}",
        refusal.reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default()
    )]
    WrongValue {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// Why not, and what it can be.
        refusal: Box<Refusal>,
    },
    /// Two settings of one table, of which only one can be.
    #[error("{place}: `{key}` does not go with `{other}`")]
    BothInFile {
        /// Where.
        place: Place,
        /// The one.
        key: String,
        /// The other one.
        other: String,
    },
    /// Two variables, of which only one can be.
    #[error("{one} does not go with {other}")]
    BothVariables {
        /// The one.
        one: String,
        /// The other one.
        other: String,
    },
    /// The settings as a whole do not take it.
    #[error("{place}: `{key}`: {refused}")]
    Refused {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// Why not.
        refused: Box<SettingsError>,
    },
}

impl ConfigError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "name another file with `--config` or `CHATCTL_CONFIG`; `--config ''` reads none"
                    .to_owned()
            }
            Self::Syntax { .. } => {
                "a setting is a line such as `region = \"eu-central-1\"` or `history-days = 30`"
                    .to_owned()
            }
            Self::UnknownKey { nearest, .. } => {
                let all = "all settings are in docs/settings.md";
                let nearest = nearest.as_ref();
                nearest.map_or_else(|| all.to_owned(), |it| format!("is `{it}` meant? {all}"))
            }
            Self::NotInFile { key, .. } if key == "tag" => {
                "write `[tags]`, and below it a line such as `team = \"chat\"`".to_owned()
            }
            Self::NotInFile { key, .. } => {
                format!("take it out of the file, and give `--{key}` where it is wanted")
            }
            Self::StageInStage { .. } => {
                "set it above all tables: it is the stage that is meant where none is given"
                    .to_owned()
            }
            Self::StageName { .. } => {
                "a table `[stages.NAME]` is for the stage of that name: lower-case letters, digits \
                 and inner hyphens, at most 20"
                    .to_owned()
            }
            Self::WrongType { key, wanted, .. } => {
                format!("write `{key} = …` with {wanted}; docs/settings.md has examples")
            }
            Self::WrongValue { key, refusal, .. } if refusal.allowed.is_empty() => {
                format!("docs/settings.md tells what `{key}` can be")
            }
            Self::WrongValue { refusal, .. } => {
                let allowed: Vec<_> = refusal
                    .allowed
                    .iter()
                    .map(|it| format!("\"{it}\""))
                    .collect();
                format!("it can be {}", allowed.join(" or "))
            }
            Self::BothInFile { key, other, .. } => format!(
                "take one of them out; for one stage, `{key} = \"\"` or `{other} = \"\"` below \
                 `[stages.NAME]` takes back what is set for all"
            ),
            Self::BothVariables { .. } => {
                "unset one of them; a flag wins over a variable, whatever that says".to_owned()
            }
            Self::Refused { refused, .. } => refused.hint(),
        }
    }
}
