//! Whether the page and the chat work where they are: seen from outside, as a person would.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::Value;

use super::{Action, CONFIG_KEY, SiteError, config, config_with};
use crate::cloud::{CloudError, Functions};
use crate::conversation::{self, Scene, Server};
use crate::dial::Dialer;
use crate::fetch::{FetchError, fetch};
use crate::output::Output;
use crate::wait::Patience;

/// On this machine everything answers before it is looked at; the rest is for one that is busy.
const LIMIT_HERE: Duration = Duration::from_secs(30);

/// One try, with two cold functions.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// A look beside others that take no longer; where it takes longer, there is another one after them.
const GLANCE_LIMIT: Duration = Duration::from_secs(2);

/// The chat's part of it: when that is over, it is told what was waited for.
const CHAT_LIMIT: Duration = Duration::from_secs(20);

/// Bytes of the page's own files, of which the largest of a chat of one's own is well within.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is wrong with a chat.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// No connection.
    #[error("`{url}` cannot be reached")]
    Unreachable {
        /// Where to.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// The page's host does not speak HTTP.
    #[error("`{url}` does not speak HTTP")]
    Http {
        /// Where.
        url: String,
        /// What was wrong.
        source: hyper::Error,
    },
    /// An answer, and not the right one.
    #[error("`{url}` answers {answer}")]
    Answer {
        /// Where.
        url: String,
        /// What came.
        answer: String,
    },
    /// The chat does not work.
    #[error(transparent)]
    Chat(#[from] conversation::Fault),
    /// A function does not start, or gives up.
    #[error("the function `{function}` fails: {reason}")]
    Failed {
        /// Its name.
        function: String,
        /// In AWS's words.
        reason: String,
    },
    /// A function runs, and does something else.
    #[error("the function `{function}` answers {answer}, and not `{expected}`")]
    OtherAnswer {
        /// Its name.
        function: String,
        /// What it was to answer.
        expected: &'static str,
        /// What came.
        answer: String,
    },
    /// A function cannot be asked.
    #[error(transparent)]
    Cloud(CloudError),
    /// One try took too long.
    #[error("{what} did not answer within {}", humantime::format_duration(*.limit))]
    Silence {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
}

impl Fault {
    /// What the user can do about it, where that is not the same for all.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Chat(fault) => fault.hint(),
            _ => None,
        }
    }
}

/// A chat to be looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chat<'a> {
    /// Where its page is.
    pub(crate) site: &'a str,
    /// Where its socket is.
    pub(crate) websocket: &'a str,
    /// Where its socket is without anything in between, which may be the same.
    pub(crate) direct: &'a str,
    /// What a browser says that the page is from.
    pub(crate) origin: &'a str,
    /// Whose pages are let in.
    pub(crate) pages: Pages,
    /// Whether people sign in.
    pub(crate) sign_in: SignIn<'a>,
}

/// Whose pages are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Anybody's, or nobody here knows.
    Any,
    /// The chat's own, and others that were named.
    Listed,
}

/// Whether people sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignIn<'a> {
    /// Nobody does.
    Nobody,
    /// Everybody does; what the page is told of it.
    Everybody(&'a str),
    /// It is somebody else's chat.
    Unknown,
}

impl<'a> Chat<'a> {
    /// One with a single socket.
    pub(crate) fn at(site: &'a str, websocket: &'a str) -> Self {
        Self {
            site,
            websocket,
            direct: websocket,
            origin: origin(site),
            pages: Pages::Any,
            sign_in: SignIn::Nobody,
        }
    }
}

/// How much of a chat is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The page's configuration: enough to tell that what was there is there still.
    Configuration,
    /// The page as well.
    Page,
    /// Also two sockets, one at each address, and a message both ways in a room of its own, which is
    /// left again, and that foreign pages stay out, if they are to. Where people sign in, that strangers stay out, and the function that answers frames.
    Whole,
}

/// Looks at a chat from outside until it works or the deadline has passed.
///
/// # Errors
/// [`SiteError::NotWorking`], with what the last try said.
pub(crate) async fn verify(
    chat: Chat<'_>,
    action: Action<'_, impl Functions>,
    extent: Extent,
    limit: Duration,
    output: &mut Output,
) -> Result<(), SiteError> {
    let since = Instant::now();
    output.step(what(chat, extent))?;
    let outside = async {
        let took = until_it_works(chat, extent, limit).await;
        took.map_err(|last| SiteError::NotWorking { limit, last })
    };
    let inside = async {
        match (chat.sign_in, extent) {
            (SignIn::Everybody(_), Extent::Whole) => action.until_it_works(limit).await,
            _ => Ok(()),
        }
    };
    let (took, ()) = tokio::try_join!(outside, inside)?;
    let took = took.map(|it| {
        format!(
            "; a message took {} ms from one socket to the other",
            it.as_millis()
        )
    });
    output.step(&format!(
        "verified in {:.1} s{}",
        since.elapsed().as_secs_f64(),
        took.unwrap_or_default()
    ))?;
    Ok(())
}

/// What is looked at, for people.
fn what(chat: Chat<'_>, extent: Extent) -> &'static str {
    match (extent, chat.sign_in) {
        (Extent::Configuration, _) => "verifying: the page's configuration",
        (Extent::Page, _) => "verifying: the page and its configuration",
        (Extent::Whole, SignIn::Everybody(_)) => {
            "verifying: the page, its configuration, that strangers stay out, and the function \
             that answers"
        }
        (Extent::Whole, _) => {
            "verifying: the page, its configuration, two sockets and a message both ways"
        }
    }
}

/// The same for a chat on this machine, without a word.
///
/// # Errors
/// [`SiteError::NotWorkingHere`], with what the last try said.
pub(crate) async fn verify_here(chat: Chat<'_>, extent: Extent) -> Result<(), SiteError> {
    let looked = until_it_works(chat, extent, LIMIT_HERE).await;
    looked
        .map(drop)
        .map_err(|last| SiteError::NotWorkingHere { last })
}

/// Gives how long a message took, if one was sent, or else what was wrong at last.
async fn until_it_works(
    chat: Chat<'_>,
    extent: Extent,
    limit: Duration,
) -> Result<Option<Duration>, Box<Fault>> {
    let dialer = Dialer::new();
    let mut patience = Patience::new(limit, Duration::from_millis(500), Duration::from_secs(10));
    let try_limit = limit.min(TRY_LIMIT);
    loop {
        let now = Cell::new("the page");
        let tried = tokio::time::timeout(try_limit, look(&dialer, chat, extent, &now)).await;
        let silence = Fault::Silence {
            what: now.get(),
            limit: try_limit,
        };
        let last = match tried.unwrap_or(Err(silence)) {
            Ok(took) => return Ok(took),
            Err(fault) => Box::new(fault),
        };
        if !patience.pause().await {
            return Err(last);
        }
    }
}

/// One try. `now` is what is looked at.
async fn look(
    dialer: &Dialer,
    chat: Chat<'_>,
    extent: Extent,
    now: &Cell<&'static str>,
) -> Result<Option<Duration>, Fault> {
    if extent != Extent::Configuration {
        get(dialer, chat.site).await?;
    }
    now.set("the page's configuration");
    let config_url = format!("{}{CONFIG_KEY}", chat.site);
    let found = get(dialer, &config_url).await?;
    if !is_config(&found, chat) {
        return Err(Fault::Answer {
            url: config_url,
            answer: "with another chat's configuration".to_owned(),
        });
    }
    if extent != Extent::Whole {
        return Ok(None);
    }
    now.set("the chat");
    let server = Server {
        dialer,
        url: chat.websocket,
        origin: Some(chat.origin),
    };
    if let SignIn::Everybody(_) = chat.sign_in {
        // Nobody here can sign in: what can be seen is that strangers stay out, on both ways. The rest
        // is asked inside (`action`).
        for url in [chat.websocket, chat.direct] {
            conversation::refuses_strangers(Server { url, ..server }).await?;
        }
        return Ok(None);
    }
    if chat.pages == Pages::Listed {
        let ways = [chat.websocket, chat.direct];
        conversation::refuses_foreign_pages(server, &ways, CHAT_LIMIT).await?;
    }
    let scene = Scene::new(server, tokio::time::Instant::now(), CHAT_LIMIT);
    let passed = Box::pin(conversation::pass_both_ways(&scene, chat.direct)).await;
    scene.end().await;
    Ok(Some(passed?))
}

/// Whether it is the configuration of this chat.
fn is_config(found: &[u8], chat: Chat<'_>) -> bool {
    let (site, websocket) = (chat.site, chat.websocket);
    match chat.sign_in {
        SignIn::Nobody => found == config(site, websocket).as_bytes(),
        SignIn::Everybody(word) => found == config_with(site, websocket, Some(word)).as_bytes(),
        SignIn::Unknown => {
            let read =
                |text: &[u8]| Some(serde_json::from_slice::<Value>(text).ok()?["server"].clone());
            let server = read(found);
            server.is_some() && server == read(config(site, websocket).as_bytes())
        }
    }
}

/// Looks once whether the page is there, and leads to the chat.
///
/// # Errors
/// [`Fault`], if it is not.
pub(crate) async fn look_at_page(
    dialer: &Dialer,
    chat: Chat<'_>,
    limit: Duration,
) -> Result<(), Fault> {
    let now = Cell::new("the page");
    let looked = tokio::time::timeout(limit, look(dialer, chat, Extent::Page, &now)).await;
    let silence = Fault::Silence {
        what: now.get(),
        limit,
    };
    looked.unwrap_or(Err(silence)).map(drop)
}

/// Looks once, without waiting for long, whether the page's configuration is there, and leads to the chat.
pub(crate) async fn is_configured(chat: Chat<'_>) -> bool {
    let (dialer, now) = (Dialer::new(), Cell::new(""));
    let looked = look(&dialer, chat, Extent::Configuration, &now);
    let looked = tokio::time::timeout(GLANCE_LIMIT, looked).await;
    matches!(looked, Ok(Ok(_)))
}

/// What a browser says that the page is from.
pub(crate) fn origin(site: &str) -> &str {
    site.trim_end_matches('/')
}

async fn get(dialer: &Dialer, url: &str) -> Result<Bytes, Fault> {
    let body = fetch(dialer, url, "*/*", BYTES_MAX).await;
    body.map_err(|error| {
        let url = url.to_owned();
        let answer = match error {
            FetchError::Unreachable(source) => return Fault::Unreachable { url, source },
            FetchError::Http(source) => return Fault::Http { url, source },
            FetchError::Status(status) => status.to_string(),
            FetchError::TooLarge(bytes) => format!("with more than {bytes} bytes"),
        };
        Fault::Answer { url, answer }
    })
}

#[cfg(test)]
mod tests;
