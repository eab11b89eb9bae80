//! `chatctl open`: the page in a browser.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::until_interrupted;
use super::urls::of_stage;
use crate::cloud::aws::Aws;
use crate::error::Error;
use crate::output::Output;
use crate::settings::{OpenSettings, Whereabouts};

/// How long this machine may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A program that opens a browser says soon that it cannot. One that is the browser stays.
const FAILS_WITHIN: Duration = Duration::from_secs(2);

/// What opens a browser here, in this order.
const OPENERS: [&str; 3] = if cfg!(target_os = "macos") {
    ["open", "xdg-open", "wslview"]
} else {
    // Where Windows is around it, its browser is meant.
    ["wslview", "xdg-open", "open"]
};

/// Opens the page, and prints where it is. Where nothing opens it, that is all.
///
/// # Errors
/// [`Error`], if nobody knows where it is, or it cannot be printed.
pub(crate) fn run(settings: &OpenSettings, output: &mut Output) -> Result<(), Error> {
    until_interrupted(async {
        let site = match &settings.page {
            Whereabouts::Here { port } => here(*port).await?,
            Whereabouts::Stage { stage, account } => {
                let aws = Aws::connect(account).await?;
                of_stage(&aws, stage, &aws.region).await?.site
            }
        };
        let opened = open(&site, &commands(std::env::var_os("BROWSER"))).await;
        let text = if settings.json {
            format!("{}\n", json!({"site": site, "opened_by": opened}))
        } else {
            format!("{site}\n")
        };
        output.data(&text)?;
        if opened.is_none() {
            output.note("no browser could be opened here: open it yourself");
        }
        Ok(())
    })
}

/// Where `chatctl dev` serves the page, if something does.
async fn here(port: u16) -> Result<String, Error> {
    let answer = TcpStream::connect(("127.0.0.1", port));
    let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await;
    let url = format!("http://127.0.0.1:{port}/");
    if matches!(answer, Ok(Ok(_))) {
        Ok(url)
    } else {
        Err(Error::NotRunning { url })
    }
}

/// What may open a browser: what `BROWSER` names, by its convention (several with colons, `%s` for the
/// URL), and then what is usual.
fn commands(browser: Option<OsString>) -> Vec<Vec<String>> {
    let named = browser.unwrap_or_default();
    let named = named.to_string_lossy();
    let named = named.split(':').map(|it| {
        let words = it.split_whitespace().map(str::to_owned);
        words.collect::<Vec<_>>()
    });
    let named = named.filter(|it| !it.is_empty());
    let usual = OPENERS.map(|it| vec![it.to_owned()]);
    named.chain(usual).collect()
}

/// The program that opened the URL, if one did.
async fn open(url: &str, commands: &[Vec<String>]) -> Option<String> {
    for words in commands {
        let (program, arguments) = words.split_first()?;
        let arguments: Vec<_> = arguments.iter().map(|it| it.replace("%s", url)).collect();
        let is_in_them = words.iter().any(|it| it.contains("%s"));
        // A group of its own: Ctrl-C in this terminal is not meant for the browser.
        let started = Command::new(program)
            .args(&arguments)
            .args((!is_in_them).then_some(url))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let Ok(mut child) = started else { continue };
        match tokio::time::timeout(FAILS_WITHIN, child.wait()).await {
            Ok(Ok(status)) if status.success() => return Some(program.clone()),
            // It is still there: it is the browser.
            Err(_) => return Some(program.clone()),
            Ok(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_goes_first_and_may_name_several() {
        let usual = commands(None);
        assert_eq!(usual.len(), OPENERS.len());
        let named = commands(Some("firefox -new-tab %s::w3m".into()));
        assert_eq!(named[0], ["firefox", "-new-tab", "%s"]);
        assert_eq!(named[1], ["w3m"]);
        assert_eq!(named[2..], usual);
    }

    #[tokio::test]
    async fn the_next_one_is_tried_where_one_is_missing_or_fails() {
        let command = |words: &[&str]| words.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let commands = [
            command(&["no-such-program-here"]),
            command(&["false"]),
            command(&["test", "%s", "=", "http://x/"]),
        ];
        let opened = open("http://x/", &commands).await;
        assert_eq!(opened.as_deref(), Some("test"));
        assert_eq!(open("http://x/", &commands[..2]).await, None);
        // Another URL than the one that it was given would have failed.
        assert_eq!(open("http://y/", &commands).await, None);
    }

    #[tokio::test]
    async fn where_nothing_listens_nothing_is_opened() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(
            here(port).await.unwrap(),
            format!("http://127.0.0.1:{port}/")
        );
        drop(listener);
        let error = here(port).await.unwrap_err();
        assert!(error.hint().unwrap().contains("`chatctl dev`"), "{error}");
    }
}
