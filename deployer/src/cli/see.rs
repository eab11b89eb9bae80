//! The arguments of the verbs that look and change nothing.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::{CloudArgs, SourceArgs, switch};
use crate::settings;
use crate::telemetry::Function;

/// Shown below `chatctl status --help`.
pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  chatctl status                 how the stage `dev` is, in seconds
  chatctl status --stage prod --build
                                 compares the functions' code as well
  chatctl status --drift         looks what was changed behind the stack's back
  chatctl status --json | jq .connections.about

The exit code is 0 if all of it could be looked up, however it is.";

/// Shown below `chatctl logs --help`.
pub(super) const LOGS_EXAMPLES: &str = "\
Examples:
  chatctl logs                   the last hour of all functions
  chatctl logs -f --since 5m     and what comes; Ctrl-C ends it
  chatctl logs --errors --since 2d
                                 what went wrong
  chatctl logs --function action --json | jq -c 'select(.durationMs > 500)'

Times are UTC. What stands after the outcome: milliseconds, the room's hash, and
what became of the posts to its members.";

/// Shown below `chatctl doctor --help`.
pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  chatctl doctor                 what `chatctl dev` and `chatctl deploy` need
  chatctl doctor --local         what `chatctl dev` needs; AWS is not asked
  chatctl doctor --json | jq '.checks[] | select(.verdict != \"good\")'

The exit code is 1 if something is missing that is needed.";

/// Shown below `chatctl open --help`.
pub(super) const OPEN_EXAMPLES: &str = "\
Examples:
  chatctl open                   the page of the stage `dev`
  chatctl open --dev             the one that `chatctl dev` serves
  BROWSER=firefox chatctl open --stage prod";

/// Shown below `chatctl completions --help`.
pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(chatctl completions bash)    for this shell alone
  chatctl completions bash > ~/.local/share/bash-completion/completions/chatctl
  chatctl completions zsh > \"${fpath[1]}/_chatctl\"
  chatctl completions fish > ~/.config/fish/completions/chatctl.fish";

/// Shown below `chatctl man --help`.
pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  chatctl man | man -l -             the whole
  chatctl man deploy | man -l -      one command
  chatctl man --out ~/.local/share/man/man1";

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Of which chat.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// What it is compared with.
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// Build the functions as a deploy would, to compare their code; otherwise it is compared only with
    /// a `--bootstrap`
    #[arg(long, env = "CHATCTL_BUILD", value_parser = switch())]
    pub(crate) build: bool,

    /// Have AWS look what was changed behind the stack's back: a minute or so; otherwise what the last
    /// look found is told
    #[arg(long, env = "CHATCTL_DRIFT", value_parser = switch())]
    pub(crate) drift: bool,
}

/// The arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Of which chat.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// Go on with what comes, until Ctrl-C
    #[arg(short, long, env = "CHATCTL_FOLLOW", value_parser = switch())]
    pub(crate) follow: bool,

    /// How far back to begin, such as 5m, 1h or 2d
    #[arg(
        long,
        env = "CHATCTL_SINCE",
        default_value = "1h",
        value_name = "DURATION"
    )]
    pub(crate) since: String,

    /// Only of this function; can be given several times, in the variable with commas
    #[arg(
        long,
        env = "CHATCTL_FUNCTION",
        value_enum,
        value_delimiter = ',',
        value_name = "FUNCTION"
    )]
    pub(crate) function: Vec<Function>,

    /// Only what went wrong
    #[arg(long, env = "CHATCTL_ERRORS", value_parser = switch())]
    pub(crate) errors: bool,

    /// Lambda's own lines as well: when each invocation began and ended, and what is billed
    #[arg(long, env = "CHATCTL_ALL", value_parser = switch())]
    pub(crate) all: bool,
}

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// For which chat.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// Only what `chatctl dev` needs: AWS is not asked
    #[arg(long, env = "CHATCTL_LOCAL", value_parser = switch())]
    pub(crate) local: bool,
}

/// The arguments of `open`.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Of which chat.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// The page that `chatctl dev` serves on this machine
    #[arg(long, env = "CHATCTL_DEV", value_parser = switch())]
    pub(crate) dev: bool,

    /// With `--dev`: where it listens on 127.0.0.1
    #[arg(
        long,
        env = "CHATCTL_PORT",
        default_value_t = 8765,
        value_parser = settings::port,
        value_name = "PORT"
    )]
    pub(crate) port: u16,
}

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// The arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Of which command; by default of the whole
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    pub(crate) command: Option<String>,

    /// Write the pages of all commands to this folder instead, which is made if it is not there
    #[arg(long, env = "CHATCTL_OUT", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
