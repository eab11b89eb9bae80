//! `chatctl verify`: talk to a chat from outside and tell which promises it keeps.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::until_interrupted;
use super::urls::of_stage;
use crate::cloud::aws::Aws;
use crate::conversation::{self, Check, Outcome, Server, Transcript, Verdict};
use crate::dial::Dialer;
use crate::error::Error;
use crate::output::{Output, OutputError};
use crate::settings::{VerifySettings, Whose};
use crate::site::{self, Chat, Pages, Record, SignIn};

/// The width of a terminal that all can be read in.
const COLUMNS: usize = 80;

/// Tries every check and tells what came of each.
///
/// # Errors
/// [`Error::BrokenPromises`], if one failed; or else, if there is no such chat.
pub(crate) fn run(settings: &VerifySettings, output: &mut Output) -> Result<(), Error> {
    output.for_programs(settings.json);
    until_interrupted(async {
        match &settings.whose {
            Whose::Urls { websocket, site } => {
                let site = site.as_deref();
                let subject = Subject {
                    websocket,
                    // It is somebody else's: who signs in there is not known.
                    page: site.map(|site| Chat {
                        sign_in: SignIn::Unknown,
                        ..Chat::at(site, websocket)
                    }),
                    domain: None,
                };
                Box::pin(verify(subject, settings, output)).await
            }
            Whose::Stage { stage, account } => {
                let aws = Aws::connect(account).await?;
                let urls = of_stage(&aws, stage, &aws.region).await?;
                let chat = urls.chat();
                let subject = Subject {
                    websocket: chat.websocket,
                    page: Some(chat),
                    domain: urls.by_domain(),
                };
                Box::pin(verify(subject, settings, output)).await
            }
        }
    })
}

/// What is looked at.
#[derive(Clone, Copy)]
struct Subject<'a> {
    /// The chat, by its socket.
    websocket: &'a str,
    /// With its page, if that is known.
    page: Option<Chat<'a>>,
    /// At a domain of its own, if it has one.
    domain: Option<(&'a Record, Chat<'a>)>,
}

async fn verify(
    subject: Subject<'_>,
    settings: &VerifySettings,
    output: &mut Output,
) -> Result<(), Error> {
    let websocket = subject.websocket;
    output.step(&format!("talking to `{websocket}`, in rooms of its own"))?;
    let dialer = Dialer::new();
    let mut outcomes = Vec::new();
    if let Some(chat) = subject.page {
        let outcome = page(&dialer, chat, settings.timeout).await;
        tell(&outcome, settings, output)?;
        outcomes.push(outcome);
    }
    if let Some((record, chat)) = subject.domain {
        let outcome = domain(&dialer, record, chat, settings.timeout).await;
        tell(&outcome, settings, output)?;
        outcomes.push(outcome);
    }
    let server = Server {
        dialer: &dialer,
        url: websocket,
        origin: subject.page.map(|it| it.origin),
    };
    let signs_in = |it: Chat<'_>| matches!(it.sign_in, SignIn::Everybody(_));
    if let Some(chat) = subject.page.filter(|it| signs_in(*it)) {
        let ways = [websocket, chat.direct];
        outcomes.push(conversation::try_strangers(server, &ways, settings.timeout).await);
        outcomes.extend(Check::ALL.map(|check| Outcome {
            name: check.name(),
            promise: check.promise(),
            verdict: Verdict::NotTried { without: TOKEN },
            took: Duration::ZERO,
        }));
        for outcome in outcomes
            .iter()
            .filter(|it| it.name != "page" && it.name != "domain")
        {
            tell(outcome, settings, output)?;
        }
        return finish(&outcomes, websocket, Some(chat.site), settings, output);
    }
    let direct = subject.page.map(|it| it.direct);
    if let Some(direct) = direct.filter(|it| *it != websocket) {
        let outcome = Box::pin(conversation::try_two_ways(server, direct, settings.timeout)).await;
        tell(&outcome, settings, output)?;
        outcomes.push(outcome);
    }
    if let Some(chat) = subject.page.filter(|it| it.pages == Pages::Listed) {
        let ways = [websocket, chat.direct];
        let tried = conversation::try_foreign_pages(server, &ways, settings.timeout);
        let outcome = Box::pin(tried).await;
        tell(&outcome, settings, output)?;
        outcomes.push(outcome);
    }
    for check in Check::ALL {
        let outcome = match conversation::not_tried(check, &outcomes) {
            Some(outcome) => outcome,
            None => Box::pin(conversation::try_check(check, server, settings.timeout)).await,
        };
        tell(&outcome, settings, output)?;
        outcomes.push(outcome);
    }
    let site = subject.page.map(|it| it.site);
    finish(&outcomes, websocket, site, settings, output)
}

/// What nobody has here: whoever runs this has not signed in.
const TOKEN: &str = "token";

/// Whether the page is there and leads to the chat.
async fn page(dialer: &Dialer, chat: Chat<'_>, limit: Duration) -> Outcome {
    let since = Instant::now();
    let looked = site::look_at_page(dialer, chat, limit).await;
    Outcome {
        name: "page",
        promise: "the page is there and leads to the chat",
        verdict: match looked {
            Ok(()) => Verdict::Held,
            Err(fault) => Verdict::Failed {
                reasons: conversation::reasons(&fault),
                transcript: None,
            },
        },
        took: since.elapsed(),
    }
}

/// Whether the page is there by its domain.
async fn domain(dialer: &Dialer, record: &Record, chat: Chat<'_>, limit: Duration) -> Outcome {
    let mut outcome = Outcome {
        name: "domain",
        promise: "the domain leads to the page",
        ..page(dialer, chat, limit).await
    };
    if let Verdict::Failed { reasons, .. } = &mut outcome.verdict {
        reasons.push(format!("the DNS record that it needs: {record}"));
    }
    outcome
}

/// Tells what came of a check as soon as it has come.
fn tell(
    outcome: &Outcome,
    settings: &VerifySettings,
    output: &mut Output,
) -> Result<(), OutputError> {
    if settings.json {
        return output.data(&format!("{}\n", event(outcome)));
    }
    output.data(&format!("{}\n", row(outcome)))
}

fn finish(
    outcomes: &[Outcome],
    websocket: &str,
    site: Option<&str>,
    settings: &VerifySettings,
    output: &mut Output,
) -> Result<(), Error> {
    let names = |is_one: fn(&Outcome) -> bool| -> Vec<&'static str> {
        let those = outcomes.iter().filter(|it| is_one(it));
        those.map(|it| it.name).collect()
    };
    let failed = names(Outcome::is_failure);
    let not_tried = names(|it| matches!(it.verdict, Verdict::NotTried { .. }));
    if failed.is_empty() && not_tried.is_empty() {
        output.step(&format!("all {} checks hold", outcomes.len()))?;
    } else if failed.is_empty() {
        output.step(&format!(
            "{} checks hold; the others are for who has signed in, and were not tried",
            outcomes.len() - not_tried.len()
        ))?;
    }
    if settings.json {
        let result = json!({
            "event": "result",
            "websocket": websocket,
            "site": site,
            "held": names(|it| matches!(it.verdict, Verdict::Held)),
            "failed": failed,
            "not_tried": not_tried,
        });
        output.data(&format!("{result}\n"))?;
    } else {
        for outcome in outcomes {
            output.data(&explanation(outcome))?;
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::BrokenPromises {
        tried: outcomes.len() - not_tried.len(),
        failed,
    })
}

/// A line of the table.
fn row(outcome: &Outcome) -> String {
    let Outcome { name, promise, .. } = outcome;
    let time = format!("{:.2} s", outcome.took.as_secs_f64());
    match &outcome.verdict {
        Verdict::Held => format!("held    {time:>8}  {name:<10}  {promise}"),
        Verdict::Failed { .. } => format!("FAILED  {time:>8}  {name:<10}  {promise}"),
        Verdict::NotTried { without } => {
            format!("-                 {name:<10}  not tried without `{without}`")
        }
    }
}

/// Why a check failed, and what was sent and received, if it did.
fn explanation(outcome: &Outcome) -> String {
    let Verdict::Failed {
        reasons,
        transcript,
    } = &outcome.verdict
    else {
        return String::new();
    };
    let mut lines = vec![String::new()];
    lines.extend(wrapped(&format!(
        "{}: {} — and this does not hold:",
        outcome.name, outcome.promise
    )));
    for reason in reasons {
        lines.extend(wrapped(reason).into_iter().map(|it| format!("  {it}")));
    }
    if let Some(transcript) = transcript {
        lines.push("  what was sent (>) and received (<), with the seconds since it began:".into());
        lines.extend(transcript.lines(COLUMNS));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A text in lines that leave room for an indent.
fn wrapped(text: &str) -> Vec<String> {
    let most = COLUMNS - 2;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let last = lines.last_mut().map_or(0, |it| it.chars().count());
            let gap = usize::from(last > 0);
            if last + gap + word.len() <= most {
                break;
            }
            if last == 0 {
                let rest = word.split_off(most);
                lines.pop();
                lines.push(word.iter().collect());
                word = rest;
            }
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.extend(word);
        }
    }
    lines
}

/// For programs.
fn event(outcome: &Outcome) -> Value {
    let mut event = json!({
        "event": "check",
        "check": outcome.name,
        "promise": outcome.promise,
        "took_ms": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
    });
    match &outcome.verdict {
        Verdict::Held => event["verdict"] = "held".into(),
        Verdict::Failed {
            reasons,
            transcript,
        } => {
            event["verdict"] = "failed".into();
            event["reasons"] = reasons.clone().into();
            event["transcript"] = transcript.as_ref().map(Transcript::json).into();
        }
        Verdict::NotTried { without } => {
            event["verdict"] = "not-tried".into();
            event["without"] = (*without).into();
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(verdict: Verdict) -> Outcome {
        Outcome {
            name: "membership",
            promise: "who is not in a room has no part in it",
            verdict,
            took: Duration::from_millis(1234),
        }
    }

    fn failed() -> Outcome {
        outcome(Verdict::Failed {
            reasons: vec!["long ".repeat(40), "x".repeat(200)],
            transcript: Some(Transcript::new()),
        })
    }

    #[test]
    fn a_row_says_what_held_how_long_it_took_and_what_it_is() {
        let rows = [
            outcome(Verdict::Held),
            failed(),
            outcome(Verdict::NotTried { without: "room" }),
        ]
        .map(|it| row(&it));
        let expected = [
            "held      1.23 s  membership  who is not in a room has no part in it",
            "FAILED    1.23 s  membership  who is not in a room has no part in it",
            "-                 membership  not tried without `room`",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn every_row_and_every_explanation_fits_80_columns() {
        for check in Check::ALL {
            let row = row(&Outcome {
                name: check.name(),
                promise: check.promise(),
                ..outcome(Verdict::Held)
            });
            assert!(row.chars().count() <= COLUMNS, "{row}");
        }
        let text = explanation(&failed());
        assert!(
            text.lines().all(|it| it.chars().count() <= COLUMNS),
            "{text}"
        );
        let squeezed = text.replace(['\n', ' '], "");
        assert!(squeezed.contains(&"x".repeat(200)), "{text}");
        assert!(squeezed.contains(&"long".repeat(40)), "{text}");
    }

    #[test]
    fn only_what_failed_is_explained() {
        assert_eq!(explanation(&outcome(Verdict::Held)), "");
    }

    #[test]
    fn programs_are_told_why_and_what_was_said() {
        let event = event(&failed());
        assert_eq!(event["verdict"], "failed");
        assert_eq!(event["reasons"][1], "x".repeat(200));
        assert_eq!(event["transcript"], json!([]));
        assert_eq!(event["took_ms"], 1234);
    }
}
