//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args;

/// Shown below `chatctl init --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  chatctl init my-chat           then `cd my-chat` and `chatctl dev`
  chatctl init . --name club     in the folder where you are, which is empty;
                                 its stack is `chat-club`";

/// The arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where to: a folder that is empty or not there yet
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,

    /// What it is called: the stage that is meant in it where none is given, so that it stands beside
    /// other chats of an account. Without a name that is `dev`, as everywhere
    #[arg(long, env = "CHATCTL_NAME", value_name = "NAME")]
    pub(crate) name: Option<String>,
}
