//! What the user asked for, from the command line and the environment, checked once and before
//! anything is done. `clap` has merged the two already: a flag wins over its variable.

use std::path::PathBuf;

use crate::build::Profile;
use crate::cli::{DevArgs, StageArgs, SynthArgs, TemplateFormat};
use crate::template::{StageName, StageNameError, TemplateSettings};

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// `--stage` or `CHATCTL_STAGE`.
    #[error(transparent)]
    Stage(#[from] StageNameError),
}

impl SettingsError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Stage(_) => format!(
                "set `--stage` or `CHATCTL_STAGE` to lower-case letters, digits and inner hyphens, \
                 at most {}, such as `dev`",
                StageName::LENGTH_MAX
            ),
        }
    }
}

/// The settings of `dev`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DevSettings {
    /// What the template depends on.
    pub(crate) template: TemplateSettings,
    /// Where to listen on 127.0.0.1; 0 is a free port.
    pub(crate) port: u16,
    /// Where the table is kept, if anywhere.
    pub(crate) data: Option<PathBuf>,
    /// How the functions are built.
    pub(crate) profile: Profile,
    /// Whether the URLs are printed for programs.
    pub(crate) json: bool,
    /// Where the user is.
    pub(crate) folder: PathBuf,
}

impl DevSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: DevArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            template: template_settings(&args.stage)?,
            port: args.port,
            data: args.data,
            profile: if args.release {
                Profile::Lambda
            } else {
                Profile::Dev
            },
            json: args.json,
            // A folder that was deleted under the user's feet has no sources above it either.
            folder: std::env::current_dir().unwrap_or_default(),
        })
    }
}

/// The settings of `synth`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SynthSettings {
    /// What the template depends on.
    pub(crate) template: TemplateSettings,
    /// How it is written.
    pub(crate) format: TemplateFormat,
}

impl SynthSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &SynthArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            template: template_settings(&args.stage)?,
            format: args.format,
        })
    }
}

fn template_settings(args: &StageArgs) -> Result<TemplateSettings, SettingsError> {
    Ok(TemplateSettings {
        stage: args.stage.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(stage: &str) -> SynthArgs {
        SynthArgs {
            stage: StageArgs {
                stage: stage.to_owned(),
            },
            format: TemplateFormat::Json,
        }
    }

    #[test]
    fn good_arguments_become_settings() {
        let settings = SynthSettings::new(&args("prod")).unwrap();
        assert_eq!(settings.template.stage.as_str(), "prod");
        assert_eq!(settings.format, TemplateFormat::Json);
    }

    #[test]
    fn a_bad_stage_is_refused_with_the_rule() {
        let error = SynthSettings::new(&args("My Stage")).unwrap_err();
        assert_eq!(error.to_string(), "`My Stage` is not a stage name");
        assert!(error.hint().contains("CHATCTL_STAGE"));
    }
}
