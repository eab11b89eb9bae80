//! Who is let in, as flags. Each is a parameter of the template.

use clap::Args;

/// Who is let in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Who is let in")]
pub(crate) struct AccessArgs {
    /// Pages whose sockets are let in: any, site (the chat's own page alone), or the origins of further
    /// pages, such as `https://www.example.org`, with commas in between. But for any, whoever says no origin
    /// is refused, too
    #[arg(
        long,
        env = "CHATCTL_ALLOWED_ORIGINS",
        default_value = "any",
        value_name = "ORIGINS"
    )]
    pub(crate) allowed_origins: String,
}
