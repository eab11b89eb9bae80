//! Whether CloudFront serves the page.

use std::fmt;

use clap::ValueEnum;

/// Who serves the page. The parameter `Cdn` of the template has the same words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cdn {
    /// CloudFront, over HTTPS, from a private bucket.
    #[default]
    On,
    /// The bucket itself, over HTTP, to everyone.
    Off,
}

impl fmt::Display for Cdn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}
