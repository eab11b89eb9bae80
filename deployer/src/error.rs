//! What can go wrong in a command, what the user can do about it, and the exit code it ends in.
//! How it looks is the business of `output`.

use std::io;
use std::path::PathBuf;

use local::template::TemplateError as LocalTemplateError;
use local::{DatabaseError, StartError};

use crate::build::BuildError;
use crate::cloud::CloudError;
use crate::commands::dev::WatchError;
use crate::config::ConfigError;
use crate::functions::FunctionError;
use crate::init::InitError;
use crate::output::OutputError;
use crate::protection;
use crate::releases::ReleaseError;
use crate::settings::SettingsError;
use crate::sign_in::SignInError;
use crate::site::SiteError;
use crate::stack::StackError;
use crate::telemetry::TelemetryError;
use crate::template::TemplateError;

/// How the process ends. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// All that was asked for is done.
    Done = 0,
    /// The cloud, a tool or this machine failed.
    Failure = 1,
    /// The command line or a setting is wrong; nothing was done.
    Usage = 2,
    /// The user stopped it.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is nothing to run: the command line is wrong, or asks for the help or the version.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file of settings is wrong.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// The embedded template is faulty.
    #[error("the template cannot be put together")]
    Template(#[from] TemplateError),
    /// The functions cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The local stack does not start.
    #[error("the local stack does not start")]
    Local(#[from] local::StartError),
    /// AWS refused something.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// A stack is not as it is wanted.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A function does not run what it is to run.
    #[error(transparent)]
    Functions(#[from] FunctionError),
    /// The page cannot be published, or does not work where it is.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// What was deployed does not work, and something is kept that did.
    #[error(transparent)]
    BadDeploy(#[from] Box<BadDeploy>),
    /// There is nothing to go back to.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// Nobody could sign in.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// A chat does not tell of itself what was asked for.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// No app can be begun there.
    #[error(transparent)]
    Init(#[from] InitError),
    /// There is no such chat.
    #[error("there is no stack `{stack}` in {region}")]
    NoStack {
        /// The stack.
        stack: String,
        /// The Region that was looked at.
        region: String,
    },
    /// Only the functions of a finished chat can be swapped.
    #[error("the functions of `{stack}` cannot be swapped: the stack is in {status}")]
    NotSwappable {
        /// The stack.
        stack: String,
        /// What it is in.
        status: String,
    },
    /// The functions run on another processor than the package is for.
    #[error("the functions of `{stack}` run on `{deployed}`, and the package is for `{wanted}`")]
    OtherArchitecture {
        /// The stack.
        stack: String,
        /// What the stack says.
        deployed: String,
        /// What was built.
        wanted: String,
    },
    /// The stack lacks an output, so it is not a finished chat.
    #[error("the stack `{stack}` has no output `{output}`")]
    NoOutput {
        /// The stack.
        stack: String,
        /// The output.
        output: &'static str,
    },
    /// The user did not type the stage's name.
    #[error("nothing was deleted: the stage's name was not typed")]
    Unconfirmed,
    /// The chat is protected, and is to be deleted.
    #[error("`{stack}` is protected against deletion: nothing was done")]
    Protected {
        /// The stack.
        stack: String,
        /// Its stage.
        stage: String,
    },
    /// What is left of a chat that is none is protected.
    #[error(
        "`{stack}` is in {status} and somebody has protected it against deletion: nothing was done"
    )]
    ProtectedByHand {
        /// The stack.
        stack: String,
        /// What it is in.
        status: String,
        /// Where it is.
        region: String,
    },
    /// The table is to be kept, and would not be.
    #[error("`{stack}` is not protected: its table would go with it, and nothing was done")]
    NothingKept {
        /// The stack.
        stack: String,
        /// Its stage.
        stage: String,
    },
    /// What was to stay is gone.
    #[error("what was to stay of the stack `{stack}` is not there: {}", resources.join(", "))]
    Lost {
        /// The stack.
        stack: String,
        /// Each resource with its type and id.
        resources: Vec<String>,
    },
    /// What should be gone is not.
    #[error(
        "{} of the stack `{stack}` {} still there: {}",
        if resources.len() == 1 { "one resource".to_owned() } else { format!("{} resources", resources.len()) },
        if resources.len() == 1 { "is" } else { "are" },
        resources.join(", ")
    )]
    StillThere {
        /// The stack.
        stack: String,
        /// Each resource with its type and id.
        resources: Vec<String>,
    },
    /// A chat does not keep what is promised.
    #[error("{} of {tried} checks failed: {}", failed.len(), failed.join(", "))]
    BrokenPromises {
        /// How many were tried.
        tried: usize,
        /// Those that failed.
        failed: Vec<&'static str>,
    },
    /// Something that is needed is not here.
    #[error(
        "{}: {}",
        if .missing.len() == 1 {
            "one thing is needed and not as it should be"
        } else {
            "some things are needed and not as they should be"
        },
        .missing.join(", ")
    )]
    NotReady {
        /// What.
        missing: Vec<&'static str>,
    },
    /// Nothing answers where `chatctl dev` would.
    #[error("nothing answers at {url}")]
    NotRunning {
        /// Where.
        url: String,
    },
    /// Manual pages cannot be written.
    #[error("`{}` cannot be written to", .path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The user ended the command.
    #[error("interrupted")]
    Interrupted {
        /// The stack that AWS is at meanwhile.
        goes_on: Option<String>,
    },
    /// Changes of the sources cannot be taken up.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The operating system refused something that it never should.
    #[error("this machine refuses to run it")]
    Machine(#[source] io::Error),
    /// What the command had to say cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// A deploy that does not work, of a chat that has worked.
#[derive(Debug)]
pub(crate) struct BadDeploy {
    /// What is wrong with it.
    pub(crate) error: SiteError,
    /// Which stage it is of.
    pub(crate) stage: String,
    /// What was gone back to, if it is that.
    pub(crate) again: Option<String>,
    /// What there is to go back to, and when that was last found to work.
    pub(crate) back: Option<(String, String)>,
}

/// It is that error, with a way out that the site does not know.
impl std::fmt::Display for BadDeploy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for BadDeploy {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl BadDeploy {
    fn hint(&self) -> String {
        let command = format!("`chatctl rollback --stage {} --to", self.stage);
        let again = self.again.as_ref();
        let again = again.map(|release| format!("{command} {release}` tries it again"));
        let back = self.back.as_ref().map(|(release, worked)| {
            format!(
                "{command} {release}` goes back to the code and the page that worked on {worked}"
            )
        });
        let ways: Vec<_> = again.into_iter().chain(back).collect();
        format!("{}; else {}", ways.join("; "), self.error.hint())
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(Box::new(error))
    }
}

impl Error {
    /// The exit code that the error ends in.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            // `clap` counts a request for help as an error, too.
            Self::CommandLine(error) if error.exit_code() == 0 => ExitCode::Done,
            Self::CommandLine(_)
            | Self::Settings(_)
            | Self::Config(_)
            | Self::Init(InitError::NotEmpty { .. } | InitError::NoFolder(_))
            | Self::Protected { .. }
            | Self::ProtectedByHand { .. }
            | Self::NothingKept { .. }
            | Self::Unconfirmed => ExitCode::Usage,
            Self::Template(_)
            | Self::Build(_)
            | Self::Local(_)
            | Self::Cloud(_)
            | Self::Stack(_)
            | Self::Functions(_)
            | Self::Site(_)
            | Self::BadDeploy(_)
            | Self::Release(_)
            | Self::Telemetry(_)
            | Self::SignIn(_)
            | Self::NoStack { .. }
            | Self::NotSwappable { .. }
            | Self::OtherArchitecture { .. }
            | Self::NoOutput { .. }
            | Self::StillThere { .. }
            | Self::Lost { .. }
            | Self::BrokenPromises { .. }
            | Self::NotReady { .. }
            | Self::NotRunning { .. }
            | Self::Unwritable { .. }
            | Self::Watch(_)
            | Self::Init(InitError::Unwritable { .. })
            | Self::Machine(_)
            | Self::Output(_) => ExitCode::Failure,
            Self::Interrupted { .. } => ExitCode::Interrupted,
        }
    }

    /// What the user can do about it, where there is something.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(error) => Some(error.hint()),
            Self::Config(error) => Some(error.hint()),
            Self::Template(_) => Some(
                "the fault is in `cloudformation/` of the sources: correct it and run this again"
                    .to_owned(),
            ),
            Self::Build(error) => Some(error.hint()),
            Self::Cloud(error) => Some(error.hint()),
            Self::Stack(error) => Some(error.hint()),
            Self::Functions(error) => Some(error.hint()),
            Self::Site(error) => Some(error.hint()),
            Self::BadDeploy(error) => Some(error.hint()),
            Self::Release(error) => Some(error.hint()),
            Self::Telemetry(error) => error.hint(),
            Self::SignIn(error) => Some(error.hint()),
            Self::Init(error) => Some(error.hint().to_owned()),
            Self::NotSwappable { .. } => {
                Some("run `chatctl deploy` without `--hotswap` first".to_owned())
            }
            Self::OtherArchitecture { deployed, .. } => Some(format!(
                "give `--arch {deployed}`, or change the processor by a deploy without `--hotswap`"
            )),
            Self::NoStack { .. } => Some(
                "`chatctl deploy` makes it; if it is elsewhere, say so with `--stage`, `--region` or \
                 `--profile`"
                    .to_owned(),
            ),
            Self::NoOutput { .. } => {
                Some(
                    "it is not finished: run `chatctl deploy` again; a template of your own has to \
                     keep its outputs"
                        .to_owned(),
                )
            }
            Self::Protected { stage, .. } => Some(format!(
                "`chatctl deploy --stage {stage} --protect off` lifts that; `chatctl destroy --stage \
                 {stage} --keep-table` deletes all but the table with its messages"
            )),
            Self::ProtectedByHand { stack, region, .. } => Some(format!(
                "`{}` lifts that; then run the same command again",
                protection::lifting(stack, region)
            )),
            Self::NothingKept { stage, .. } => Some(format!(
                "`chatctl deploy --stage {stage} --protect on` first has the table outlive the stack"
            )),
            Self::Lost { .. } => Some(
                "DynamoDB keeps a backup of a table that had point-in-time recovery for 35 days: \
                 docs/protection.md tells how to get it back"
                    .to_owned(),
            ),
            Self::Unconfirmed => Some("type it, or give `--yes`".to_owned()),
            Self::StillThere { .. } => Some(
                "CloudFormation counts it as gone, so that nothing else will delete it: delete it by \
                 hand, in the AWS console"
                    .to_owned(),
            ),
            Self::Interrupted { goes_on } => goes_on.as_ref().map(|stack| {
                format!("AWS goes on with `{stack}`: run the same command again to follow it to its end")
            }),
            Self::Local(error) => local_hint(error).map(str::to_owned),
            Self::Watch(error) => Some(error.hint()),
            Self::BrokenPromises { .. } => Some(
                "PROTOCOL.md has what is promised; what was sent and received is above".to_owned(),
            ),
            Self::NotReady { .. } => Some("what mends each is told with it".to_owned()),
            Self::NotRunning { .. } => Some(
                "start it with `chatctl dev`, or say where it is with `--port`".to_owned(),
            ),
            Self::Unwritable { .. } => Some("choose another folder with `--out`".to_owned()),
            Self::CommandLine(_) | Self::Machine(_) | Self::Output(_) => None,
        }
    }
}

fn local_hint(error: &StartError) -> Option<&'static str> {
    match error {
        StartError::Port { .. } => {
            Some("choose another with `--port`, or take a free one with `--port 0`")
        }
        StartError::Database(DatabaseError::Folder { .. }) => {
            Some("choose another folder with `--data`")
        }
        StartError::Database(DatabaseError::KeySchema { .. }) => {
            Some("choose another folder with `--data`, or delete this one")
        }
        StartError::Template(
            LocalTemplateError::UnknownSection { .. } | LocalTemplateError::UnknownType { .. },
        ) => Some(
            "take it out of `cloudformation/`, or only deploy it; CONTRIBUTING.md, “A resource”, tells \
             what it takes to run here",
        ),
        StartError::Template(_) | StartError::Database(DatabaseError::Table { .. }) => {
            Some("correct it in `cloudformation/`")
        }
        StartError::Init(_) => Some(
            "what the functions wrote says why: correct `handlers/`, or what the template gives them",
        ),
        StartError::Database(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn code_of(arguments: &[&str]) -> ExitCode {
        Error::from(Cli::try_parse_from(arguments).unwrap_err()).exit_code()
    }

    #[test]
    fn help_and_version_are_no_failures() {
        assert_eq!(code_of(&["chatctl", "--help"]), ExitCode::Done);
        assert_eq!(code_of(&["chatctl", "synth", "--help"]), ExitCode::Done);
        assert_eq!(code_of(&["chatctl", "--version"]), ExitCode::Done);
    }

    #[test]
    fn a_wrong_command_line_is_wrong_usage() {
        assert_eq!(code_of(&["chatctl"]), ExitCode::Usage);
        assert_eq!(
            code_of(&["chatctl", "synth", "--format", "xml"]),
            ExitCode::Usage
        );
        assert_eq!(code_of(&["chatctl", "frobnicate"]), ExitCode::Usage);
    }
}
