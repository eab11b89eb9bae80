//! Who is let in, as flags. Each is a parameter of the template.

use clap::{Args, ValueEnum};

/// How people sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    /// Nobody has to
    None,
    /// At an OpenID Connect provider
    Oidc,
}

/// Of each flag by itself: one of the whole would go on to the flags behind it.
const HEADING: &str = "Who is let in";

/// Who is let in.
#[derive(Debug, Clone, Args)]
pub(crate) struct AccessArgs {
    /// Pages whose sockets are let in: any, site (the chat's own page alone), or the origins of further
    /// pages, such as `https://www.example.org`, with commas in between. But for any, whoever says no origin
    /// is refused, too. By default as it is, and any at first
    #[arg(long, env = "CHATCTL_ALLOWED_ORIGINS", value_name = "ORIGINS", help_heading = HEADING)]
    pub(crate) allowed_origins: Option<String>,

    /// Whether people have to sign in, and how: with oidc, at an OpenID Connect provider. By default as it is,
    /// and none at first
    #[arg(long, env = "CHATCTL_AUTH", value_enum, value_name = "HOW", help_heading = HEADING)]
    pub(crate) auth: Option<Auth>,

    /// The provider that people sign in with, such as `https://login.example.org`
    #[arg(long, env = "CHATCTL_ISSUER", value_name = "URL", help_heading = HEADING)]
    pub(crate) issuer: Option<String>,

    /// The chat's client id at the provider
    #[arg(long, env = "CHATCTL_AUDIENCE", value_name = "ID", help_heading = HEADING)]
    pub(crate) audience: Option<String>,
}
