//! The page: what is published, how, and whether it works where it is.
//!
//! # Layout
//! * `action`: whether the function that answers frames runs, asked itself.
//! * `domain`: whether a domain of one's own leads there.
//! * `edges`: whether CloudFront has the distribution everywhere.
//! * `page`: the files of `wwwroot` and the configuration as objects, and what of them is new.
//! * `publish`: to a bucket, and to the edges of a distribution if there is one.
//! * `verify`: the page and the chat, from outside.

mod action;
mod domain;
mod edges;
mod page;
mod publish;
mod verify;

pub(crate) use action::Action;
pub(crate) use domain::{Record, tell_of_domain};
pub(crate) use edges::until_deployed;
pub(crate) use page::{Edits, Host, Page};
pub(crate) use publish::{Listing, Published, edits, forget_verified, note_verified, publish};
pub(crate) use verify::{
    Chat, Extent, Pages, SignIn, is_configured, look_at_page, origin, verify, verify_here,
};

use std::path::PathBuf;
use std::time::Duration;

use local::FolderError;
use serde_json::{Value, json};

use crate::cloud::CloudError;
use crate::output::OutputError;
use verify::Fault;

/// The key of the page's configuration.
pub(crate) const CONFIG_KEY: &str = "config.json";

/// The page's configuration: where the socket is. One of the page's own origin is told by its path
/// alone, so that the page works under whichever name it is reached.
pub(crate) fn config(site: &str, websocket: &str) -> String {
    let own = origin(site).replacen("http", "ws", 1);
    let path = websocket.strip_prefix(&own);
    let server = path.filter(|it| it.starts_with('/')).unwrap_or(websocket);
    json!({ "server": server }).to_string()
}

/// The same for a page where people sign in, with what it is told of that.
pub(crate) fn config_with(site: &str, websocket: &str, sign_in: Option<&str>) -> String {
    let config = config(site, websocket);
    let sign_in: Option<Value> = sign_in.and_then(|it| serde_json::from_str(it).ok());
    match (serde_json::from_str::<Value>(&config), sign_in) {
        (Ok(mut config), Some(sign_in)) => {
            config["signIn"] = sign_in;
            config.to_string()
        }
        _ => config,
    }
}

/// Why the page is not where it should be, or does not work there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiteError {
    /// The page's files cannot be read, or are not all to be published.
    #[error("the page cannot be published")]
    Folder(#[from] FolderError),
    /// The folder is not a page.
    #[error("there is no `index.html` in `{}`", .path.display())]
    NoPage {
        /// The folder.
        path: PathBuf,
    },
    /// A call failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// What is going on cannot be told.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The edges still have the old page.
    #[error("CloudFront has not forgotten the old page after {}", humantime::format_duration(*.limit))]
    NotInvalidated {
        /// How long it was waited for.
        limit: Duration,
        /// The last call that failed while waiting.
        #[source]
        last: Option<Box<CloudError>>,
    },
    /// The edges do not have the distribution.
    #[error(
        "CloudFront has not brought the distribution `{distribution}` to its edges after {}",
        humantime::format_duration(*.limit)
    )]
    NotDeployed {
        /// The distribution's id.
        distribution: String,
        /// How long it was waited for.
        limit: Duration,
        /// The last call that failed while waiting.
        #[source]
        last: Option<Box<CloudError>>,
    },
    /// All is in place, and does not answer as it should.
    #[error("the chat is deployed and does not work after {}", humantime::format_duration(*.limit))]
    NotWorking {
        /// How long it was tried.
        limit: Duration,
        /// What the last try said.
        #[source]
        last: Box<Fault>,
    },
    /// Likewise on this machine.
    #[error("the chat has started and does not work")]
    NotWorkingHere {
        /// What the last try said.
        #[source]
        last: Box<Fault>,
    },
}

impl SiteError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Folder(error) => error.hint().to_owned(),
            Self::NoPage { .. } => "give `--wwwroot` a folder with the page's files".to_owned(),
            Self::Cloud(error) => error.hint(),
            Self::Output(_) | Self::NotInvalidated { .. } | Self::NotDeployed { .. } => {
                "run the same command again; it goes on where it was".to_owned()
            }
            Self::NotWorking { last, .. } => last
                .hint()
                .unwrap_or(
                    "names and edges can take some minutes more: run the same command again; if it \
                     stays so, the functions' logs tell more (`chatctl logs --errors`)",
                )
                .to_owned(),
            Self::NotWorkingHere { last } => last
                .hint()
                .unwrap_or("what the functions say above tells more")
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_the_pages_own_origin_is_told_by_its_path() {
        for (site, websocket, server) in [
            (
                "https://d1.cloudfront.net/",
                "wss://d1.cloudfront.net/dev",
                "/dev",
            ),
            ("http://127.0.0.1:8765/", "ws://127.0.0.1:8765/dev", "/dev"),
            (
                "https://d1.example/",
                "wss://d1.example.org/dev",
                "wss://d1.example.org/dev",
            ),
            (
                "https://d1.example/",
                "ws://d1.example/dev",
                "ws://d1.example/dev",
            ),
            (
                "http://b.example/",
                "wss://api.example/dev",
                "wss://api.example/dev",
            ),
        ] {
            let expected = json!({ "server": server }).to_string();
            assert_eq!(config(site, websocket), expected, "{site} {websocket}");
        }
    }
}
