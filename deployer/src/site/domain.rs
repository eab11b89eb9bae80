//! A domain of one's own: the DNS record that leads it to the distribution is somebody else's to make,
//! so a deploy says what it has to be, and whether it is there, and does not wait for it.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::verify::{Chat, Fault, look_at_page};
use crate::conversation;
use crate::dial::Dialer;
use crate::output::{Output, OutputError};

/// How long a domain may take to answer. It is looked at once.
const LIMIT: Duration = Duration::from_secs(10);

/// A DNS record that has to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The domain.
    pub(crate) name: String,
    /// CloudFront's own name of the distribution.
    pub(crate) target: String,
}

impl Record {
    /// The one for a page that is at another name than its distribution.
    pub(crate) fn of(site: &str, target: &str) -> Option<Self> {
        let name = site.strip_prefix("https://")?.trim_end_matches('/');
        (name != target).then(|| Self {
            name: name.to_owned(),
            target: target.to_owned(),
        })
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({"name": self.name, "type": "CNAME", "value": self.target})
    }
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} CNAME {}", self.name, self.target)
    }
}

/// Says whether a domain leads to its chat, and what to do until it does.
///
/// # Errors
/// [`OutputError`], if it cannot be said.
pub(crate) async fn tell_of_domain(
    record: &Record,
    chat: Chat<'_>,
    output: &mut Output,
) -> Result<(), OutputError> {
    let looked = look_at_page(&Dialer::new(), chat, LIMIT).await;
    for line in lines(record, looked.err().as_ref()) {
        output.step(&line)?;
    }
    Ok(())
}

fn lines(record: &Record, fault: Option<&Fault>) -> Vec<String> {
    let Record { name, .. } = record;
    let Some(fault) = fault else {
        return vec![format!("`{name}` leads to the chat")];
    };
    vec![
        format!(
            "`{name}` does not lead to the chat yet: {}",
            conversation::reasons(fault).join(": ")
        ),
        format!(
            "it does once DNS has `{record}` (or an ALIAS, where the domain has a zone of its own)"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record::of("https://chat.example.org/", "d1.cloudfront.net").unwrap()
    }

    #[test]
    fn only_a_page_at_another_name_than_its_distributions_needs_a_record() {
        assert_eq!(
            record().to_string(),
            "chat.example.org CNAME d1.cloudfront.net"
        );
        for site in ["https://d1.cloudfront.net/", "http://b.s3-website.example/"] {
            assert_eq!(Record::of(site, "d1.cloudfront.net"), None, "{site}");
        }
    }

    #[test]
    fn what_is_missing_is_told_with_the_record_and_the_reason() {
        assert_eq!(
            lines(&record(), None),
            ["`chat.example.org` leads to the chat"]
        );
        let fault = Fault::Unreachable {
            url: "https://chat.example.org/".to_owned(),
            source: std::io::Error::other("no such name"),
        };
        assert_eq!(
            lines(&record(), Some(&fault)),
            [
                "`chat.example.org` does not lead to the chat yet: `https://chat.example.org/` \
                 cannot be reached: no such name",
                "it does once DNS has `chat.example.org CNAME d1.cloudfront.net` (or an ALIAS, where \
                 the domain has a zone of its own)",
            ]
        );
    }

    #[tokio::test]
    async fn a_domain_that_leads_nowhere_ends_nothing() {
        // The port of nobody.
        let chat = Chat::at("http://127.0.0.1:1/", "ws://127.0.0.1:1/dev");
        let told = tell_of_domain(&record(), chat, &mut Output::to_nobody()).await;
        assert!(told.is_ok(), "{told:?}");
    }
}
