//! `chatctl urls`: print where a deployed chat is.

use serde_json::{Value, json};

use super::{CHAT_OWNER, no_stack, until_interrupted};
use crate::cloud::aws::Aws;
use crate::cloud::{StackView, Stacks};
use crate::error::Error;
use crate::output::{Output, OutputError};
use crate::settings::UrlsSettings;
use crate::site::{self, Chat, Pages, Record, SignIn};
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
        format!("{}\n", urls.json())
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
    /// The socket without CloudFront in between.
    pub(super) direct: String,
    /// What leads a domain of one's own there.
    pub(super) record: Option<Record>,
    /// What the page is told of signing in, where people do.
    pub(super) sign_in: Option<String>,
    /// Whose pages are let in.
    pages: Pages,
    /// Page and socket at CloudFront's own name, which works whatever DNS knows of a domain.
    own: [String; 2],
}

impl Urls {
    /// From the stack's outputs.
    ///
    /// # Errors
    /// [`Error::NoOutput`], if the stack is not a finished chat.
    pub(super) fn of(stage: &StageName, stack: &StackView) -> Result<Self, Error> {
        let site = required(stage, stack, "SiteUrl")?;
        let websocket = required(stage, stack, "WebSocketUrl")?;
        // A chat of before CloudFront was in front of the socket has no other address.
        let direct = stack.output("DirectWebSocketUrl").unwrap_or(&websocket);
        let target = stack.output("SiteDistributionDomain");
        let record = target.and_then(|it| Record::of(&site, it));
        let own = [&site, &websocket].map(|url| match &record {
            Some(Record { name, target }) => url.replacen(name, target, 1),
            None => url.clone(),
        });
        Ok(Self {
            direct: direct.to_owned(),
            site,
            websocket,
            record,
            sign_in: stack.output("SignIn").map(str::to_owned),
            // A template of before there was a choice lets all in.
            pages: match stack.parameter("AllowedOrigins") {
                None | Some("any") => Pages::Any,
                Some(_) => Pages::Listed,
            },
            own,
        })
    }

    /// What the page is to be told.
    pub(super) fn config(&self) -> String {
        site::config_with(&self.site, &self.websocket, self.sign_in.as_deref())
    }

    fn sign_in(&self) -> SignIn<'_> {
        self.sign_in
            .as_deref()
            .map_or(SignIn::Nobody, SignIn::Everybody)
    }

    /// To be looked at.
    pub(super) fn chat(&self) -> Chat<'_> {
        let [site, websocket] = &self.own;
        Chat {
            site,
            websocket,
            direct: &self.direct,
            origin: site::origin(&self.site),
            pages: self.pages,
            sign_in: self.sign_in(),
        }
    }

    /// To be looked at by its domain, if it has one.
    pub(super) fn by_domain(&self) -> Option<(&Record, Chat<'_>)> {
        let chat = Chat {
            sign_in: self.sign_in(),
            ..Chat::at(&self.site, &self.websocket)
        };
        Some((self.record.as_ref()?, chat))
    }

    /// Says whether a domain leads to the chat, and what to do until it does.
    ///
    /// # Errors
    /// [`OutputError`], if it cannot be said.
    pub(super) async fn tell_of_domain(&self, output: &mut Output) -> Result<(), OutputError> {
        match self.by_domain() {
            Some((record, chat)) => site::tell_of_domain(record, chat, output).await,
            None => Ok(()),
        }
    }

    /// For people.
    pub(super) fn lines(&self) -> String {
        let mut lines = vec![
            format!("Site:      {}", self.site),
            format!("WebSocket: {}", self.websocket),
        ];
        if self.direct != self.websocket {
            lines.push(format!("Direct:    {}", self.direct));
        }
        lines.extend(self.record.as_ref().map(|it| format!("DNS:       {it}")));
        lines.join("\n") + "\n"
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "site": self.site,
            "websocket": self.websocket,
            "direct": self.direct,
            "dns": self.record.as_ref().map(Record::json),
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Status;

    const DIRECT: &str = "wss://api.execute-api.us-east-1.amazonaws.com/dev";

    /// Of a stack with these outputs.
    fn urls(outputs: &[(&str, &str)]) -> Urls {
        urls_with(outputs, &[])
    }

    fn urls_with(outputs: &[(&str, &str)], parameters: &[(&str, &str)]) -> Urls {
        let owned = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let stack = StackView {
            id: "arn:aws:cloudformation:us-east-1:1:stack/chat-dev/1".to_owned(),
            status: Status::new("CREATE_COMPLETE"),
            outputs: owned(outputs),
            parameters: owned(parameters),
            tags: Vec::new(),
            is_protected: false,
            changed: None,
            owner: Some(CHAT_OWNER.to_owned()),
        };
        Urls::of(&"dev".parse().unwrap(), &stack).unwrap()
    }

    #[test]
    fn whose_pages_are_let_in_is_the_stacks_parameter() {
        let outputs = [
            ("SiteUrl", "https://d1.cloudfront.net/"),
            ("WebSocketUrl", DIRECT),
        ];
        for (parameters, pages) in [
            (&[][..], Pages::Any),
            (&[("AllowedOrigins", "any")], Pages::Any),
            (&[("AllowedOrigins", "site")], Pages::Listed),
            (&[("AllowedOrigins", "https://a.example")], Pages::Listed),
        ] {
            let urls = urls_with(&outputs, parameters);
            assert_eq!(urls.chat().pages, pages, "{parameters:?}");
        }
    }

    #[test]
    fn a_domain_is_what_people_use_and_its_distribution_what_is_looked_at() {
        let urls = urls(&[
            ("SiteUrl", "https://chat.example.org/"),
            ("WebSocketUrl", "wss://chat.example.org/dev"),
            ("DirectWebSocketUrl", DIRECT),
            ("SiteDistributionDomain", "d1.cloudfront.net"),
        ]);
        assert_eq!(
            urls.lines(),
            format!(
                "Site:      https://chat.example.org/\n\
                 WebSocket: wss://chat.example.org/dev\n\
                 Direct:    {DIRECT}\n\
                 DNS:       chat.example.org CNAME d1.cloudfront.net\n"
            )
        );
        let dns =
            json!({"name": "chat.example.org", "type": "CNAME", "value": "d1.cloudfront.net"});
        assert_eq!(urls.json()["dns"], dns);
        let chat = urls.chat();
        assert_eq!(chat.site, "https://d1.cloudfront.net/");
        assert_eq!(chat.websocket, "wss://d1.cloudfront.net/dev");
        assert_eq!(chat.direct, DIRECT);
        assert_eq!(chat.origin, "https://chat.example.org");
        let (_, chat) = urls.by_domain().unwrap();
        assert_eq!(chat.site, "https://chat.example.org/");
        assert_eq!(chat.websocket, "wss://chat.example.org/dev");
    }

    #[test]
    fn without_a_domain_there_is_no_record_to_make() {
        let urls = urls(&[
            ("SiteUrl", "https://d1.cloudfront.net/"),
            ("WebSocketUrl", "wss://d1.cloudfront.net/dev"),
            ("DirectWebSocketUrl", DIRECT),
            ("SiteDistributionDomain", "d1.cloudfront.net"),
        ]);
        assert_eq!(urls.record, None);
        assert_eq!(urls.json()["dns"], Value::Null);
        assert!(urls.lines().ends_with(&format!("\nDirect:    {DIRECT}\n")));
        assert_eq!(urls.chat().site, urls.site);
    }

    #[test]
    fn a_chat_whose_socket_has_one_address_is_told_with_that_one() {
        for direct in [&[("DirectWebSocketUrl", DIRECT)][..], &[]] {
            let site = ("SiteUrl", "http://b.s3-website-us-east-1.amazonaws.com/");
            let urls = urls(&[&[site, ("WebSocketUrl", DIRECT)], direct].concat());
            assert_eq!(urls.direct, DIRECT);
            assert_eq!(urls.lines().lines().count(), 2, "{}", urls.lines());
        }
    }
}
