//! The settings of `verify`.

use std::time::Duration;

use super::{SettingsError, account};
use crate::cli::VerifyArgs;
use crate::cloud::aws::Account;
use crate::template::StageName;

/// The longest that a check may take.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_mins(10);

/// The settings of `verify`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VerifySettings {
    /// Which chat.
    pub(crate) whose: Whose,
    /// How long a check may take.
    pub(crate) timeout: Duration,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

/// Where a chat is, or who knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// AWS knows.
    Stage {
        /// The stage.
        stage: StageName,
        /// Where it is.
        account: Account,
    },
    /// It was said.
    Urls {
        /// The socket.
        websocket: String,
        /// The page, if it is to be looked at.
        site: Option<String>,
    },
}

impl VerifySettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &VerifyArgs) -> Result<Self, SettingsError> {
        let whose = match &args.url {
            Some(websocket) => Whose::Urls {
                websocket: url("--url", websocket, ["ws://", "wss://"])?,
                site: site(args.site.as_deref())?,
            },
            None => Whose::Stage {
                stage: args.cloud.stage.stage.parse()?,
                account: account(&args.cloud),
            },
        };
        let bad = || SettingsError::Timeout(args.timeout.clone());
        let timeout = humantime::parse_duration(&args.timeout).map_err(|_| bad())?;
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return Err(bad());
        }
        Ok(Self {
            whose,
            timeout,
            json: args.cloud.json,
        })
    }
}

/// The page's URL as it is printed elsewhere, with its last slash.
fn site(value: Option<&str>) -> Result<Option<String>, SettingsError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let url = url("--site", value, ["http://", "https://"])?;
    let slash = if url.ends_with('/') { "" } else { "/" };
    Ok(Some(url + slash))
}

fn url(
    flag: &'static str,
    value: &str,
    schemes: [&'static str; 2],
) -> Result<String, SettingsError> {
    let is_known = schemes.iter().any(|it| value.starts_with(it));
    let has_host = value
        .parse()
        .is_ok_and(|url: hyper::Uri| url.host().is_some());
    if is_known && has_host {
        Ok(value.to_owned())
    } else {
        Err(SettingsError::Url {
            flag,
            value: value.to_owned(),
            schemes,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli;

    fn verify(arguments: &[&str]) -> Result<VerifySettings, SettingsError> {
        let arguments = ["chatctl", "verify"].iter().chain(arguments);
        let cli = cli::Cli::try_parse_from(arguments).unwrap();
        let cli::Command::Verify(args) = cli.command else {
            panic!("{cli:?}");
        };
        VerifySettings::new(&args)
    }

    #[test]
    fn a_chat_is_verified_where_it_is_said_to_be_or_else_where_aws_knows() {
        let settings = verify(&["--stage", "prod"]).unwrap();
        assert!(matches!(&settings.whose, Whose::Stage { stage, .. } if stage.as_str() == "prod"));
        let url = ["--url", "ws://127.0.0.1:8765/dev"];
        let page = ["--site", "http://127.0.0.1:8765"];
        for (arguments, expected) in [
            (url.to_vec(), None),
            ([url, page].concat(), Some("http://127.0.0.1:8765/")),
        ] {
            let expected = Whose::Urls {
                websocket: url[1].to_owned(),
                site: expected.map(str::to_owned),
            };
            assert_eq!(verify(&arguments).unwrap().whose, expected);
        }
    }

    #[test]
    fn what_is_no_socket_no_page_and_no_duration_is_refused_with_the_rule() {
        let url = ["--url", "wss://x/dev"];
        for (arguments, expected) in [
            (
                ["--url", "http://x/"].to_vec(),
                "`--url http://x/` is not a URL that begins with `ws://` or `wss://`",
            ),
            (
                ["--url", "ws://"].to_vec(),
                "`--url ws://` is not a URL that begins with `ws://` or `wss://`",
            ),
            (
                [url, ["--site", "x"]].concat(),
                "`--site x` is not a URL that begins with `http://` or `https://`",
            ),
            (
                [url, ["--timeout", "11m"]].concat(),
                "`--timeout 11m` is not a duration that a check can be given",
            ),
            (
                [url, ["--timeout", "0s"]].concat(),
                "`--timeout 0s` is not a duration that a check can be given",
            ),
        ] {
            let error = verify(&arguments).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().contains(arguments[arguments.len() - 2]));
        }
    }
}
