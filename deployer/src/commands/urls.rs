//! `chatctl urls`: print where a deployed chat is.

use serde_json::json;

use super::{CHAT_OWNER, no_stack, until_interrupted};
use crate::cloud::aws::Aws;
use crate::cloud::{StackView, Stacks};
use crate::error::Error;
use crate::output::Output;
use crate::settings::UrlsSettings;
use crate::site::Chat;
use crate::stack;
use crate::template::StageName;

/// Prints where the page and the socket are, and nothing else.
///
/// # Errors
/// [`Error`], if there is no such chat, or AWS does not say.
pub(crate) fn run(settings: &UrlsSettings, output: &mut Output) -> Result<(), Error> {
    let urls = until_interrupted(async {
        let aws = Aws::connect(&settings.account).await?;
        of_stage(&aws, &settings.stage, &aws.region).await
    })?;
    let text = if settings.json {
        format!(
            "{}\n",
            json!({"site": urls.site, "websocket": urls.websocket})
        )
    } else {
        urls.lines()
    };
    output.data(&text)?;
    Ok(())
}

pub(super) async fn of_stage(
    cloud: &impl Stacks,
    stage: &StageName,
    region: &str,
) -> Result<Urls, Error> {
    let stack = cloud.find(&stage.stack_name()).await?;
    let stack = stack.filter(|it| !it.status.is_gone());
    let stack = stack.ok_or_else(|| no_stack(stage, region))?;
    stack::check_owner(&stack, &stage.stack_name(), CHAT_OWNER)?;
    Urls::of(stage, &stack)
}

/// Where a chat is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Urls {
    /// The page.
    pub(super) site: String,
    /// The socket.
    pub(super) websocket: String,
}

impl Urls {
    /// From the stack's outputs.
    ///
    /// # Errors
    /// [`Error::NoOutput`], if the stack is not a finished chat.
    pub(super) fn of(stage: &StageName, stack: &StackView) -> Result<Self, Error> {
        Ok(Self {
            site: required(stage, stack, "SiteUrl")?,
            websocket: required(stage, stack, "WebSocketUrl")?,
        })
    }

    /// To be looked at.
    pub(super) fn chat(&self) -> Chat<'_> {
        Chat {
            site: &self.site,
            websocket: &self.websocket,
        }
    }

    /// For people.
    pub(super) fn lines(&self) -> String {
        format!("Site:      {}\nWebSocket: {}\n", self.site, self.websocket)
    }
}

/// An output that every finished chat has.
pub(super) fn required(
    stage: &StageName,
    stack: &StackView,
    output: &'static str,
) -> Result<String, Error> {
    let value = stack.output(output).map(str::to_owned);
    value.ok_or_else(|| Error::NoOutput {
        stack: stage.stack_name(),
        output,
    })
}
