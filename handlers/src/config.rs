//! Every environment variable that the handlers read, by name. Read once, at start.

use std::time::Duration;

use crate::chat::{SHARE_MAX, Tempo};
use crate::origin::AllowedOrigins;

/// The DynamoDB table. Set by the template, for every function.
pub const TABLE_NAME: &str = "TABLE_NAME";
/// Where `@connections` is: `https://…/<stage>`. Set by the template.
pub const MANAGEMENT_ENDPOINT: &str = "MANAGEMENT_ENDPOINT";
/// Days that messages are kept, and a room without members; 0 keeps them ten minutes, for clients
/// that come back. Set by the template.
pub const HISTORY_DAYS: &str = "HISTORY_DAYS";
/// The stack's name, the dimension of its metrics. Set by the template, for every function.
pub const STACK_NAME: &str = "STACK_NAME";
/// The stack's ARN, of which nobody who has the logs alone knows the end. Set by the template, for every
/// function.
pub const STACK_ID: &str = "STACK_ID";
/// `on` or `off`. Set by the template, for every function.
pub const METRICS: &str = "METRICS";

/// `any`, or the origins of the pages whose sockets are let in, with commas in between. Set by the template,
/// for the connect function.
pub const ALLOWED_ORIGINS: &str = "ALLOWED_ORIGINS";
/// `on` or `off`: whether only those are let in who have signed in. Set by the template, for the connect
/// function, which then refuses whoever the authorizer has not vouched for, should it ever not be asked.
pub const SIGN_IN: &str = "SIGN_IN";
/// The provider's issuer identifier. Set by the template, for the authorizer.
pub const ISSUER: &str = "ISSUER";
/// The client's id at the provider. Set by the template, for the authorizer.
pub const AUDIENCE: &str = "AUDIENCE";
/// Where the provider's keys are. Set by the template, for the authorizer.
pub const JWKS_URI: &str = "JWKS_URI";
/// Members of a room that one invocation posts to; the others are handed over. Set by the template.
pub const SHARE_MEMBERS: &str = "SHARE_MEMBERS";
/// How many messages a second one connection may send; 0 is no limit. Set by the template.
pub const MESSAGES_PER_SECOND: &str = "MESSAGES_PER_SECOND";

/// Without a history, messages are kept for as long as a client may take to come back.
const HISTORY_MIN: Duration = Duration::from_mins(10);
const DAYS_MAX: u64 = 3650;

/// Set by Lambda.
const HANDLER: &str = "_HANDLER";
/// Set by Lambda.
const FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";
/// Set by Lambda.
const REGION: &str = "AWS_REGION";
/// Set by Lambda, from the function's role.
const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// Set by Lambda, from the function's role.
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// Set by Lambda, from the function's role.
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
/// The AWS SDKs' way to send DynamoDB's calls elsewhere; local stacks set it.
const ENDPOINT_URL_DYNAMODB: &str = "AWS_ENDPOINT_URL_DYNAMODB";
/// The same for Lambda's.
const ENDPOINT_URL_LAMBDA: &str = "AWS_ENDPOINT_URL_LAMBDA";
/// The same for all services.
const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// The AWS SDKs' name for a file of certificate authorities, to be trusted instead of all others.
pub const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
/// What says that the platform's certificate authorities are meant: OpenSSL's names for them, and a
/// proxy, which may well sign with one that the platform was given for it.
const PLATFORM: [&str; 8] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The functions that the bootstrap can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Route `$connect`.
    Connect,
    /// Route `$disconnect`.
    Disconnect,
    /// Route `$default`.
    Action,
    /// What `$connect` is asked with first, where people sign in.
    Authorize,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Connect,
        Self::Disconnect,
        Self::Action,
        Self::Authorize,
    ];

    /// Reads which one this is.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(environment: Environment<'_>) -> Result<Self, ConfigError> {
        let handler = required(environment, HANDLER)?;
        let function = Self::ALL.into_iter().find(|it| it.handler() == handler);
        function.ok_or(ConfigError::Invalid {
            name: HANDLER,
            value: handler,
            expected: "`connect`, `disconnect`, `action` or `authorize`",
        })
    }

    /// The function's `Handler` in the template.
    #[must_use]
    pub const fn handler(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Action => "action",
            Self::Authorize => "authorize",
        }
    }

    /// The variables that the template has to set for it, no more and no fewer.
    #[must_use]
    pub const fn template_variables(self) -> &'static [&'static str] {
        match self {
            Self::Connect => &[
                TABLE_NAME,
                ALLOWED_ORIGINS,
                SIGN_IN,
                STACK_NAME,
                STACK_ID,
                METRICS,
            ],
            Self::Disconnect => &[
                TABLE_NAME,
                MANAGEMENT_ENDPOINT,
                HISTORY_DAYS,
                STACK_NAME,
                STACK_ID,
                METRICS,
            ],
            Self::Action => &[
                TABLE_NAME,
                MANAGEMENT_ENDPOINT,
                HISTORY_DAYS,
                SHARE_MEMBERS,
                MESSAGES_PER_SECOND,
                STACK_NAME,
                STACK_ID,
                METRICS,
            ],
            Self::Authorize => &[ISSUER, AUDIENCE, JWKS_URI, STACK_NAME, STACK_ID, METRICS],
        }
    }
}

/// What every function of the chat needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which function this is.
    pub function: Function,
    /// The table.
    pub table_name: String,
    /// AWS's Region.
    pub region: String,
    /// Who signs.
    pub credentials: Credentials,
    /// Where DynamoDB is, when not at its public endpoint.
    pub dynamodb_endpoint: Option<String>,
    /// Whose certificates are trusted.
    pub authorities: Authorities,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorities {
    /// Those of AWS's own endpoints, which are in the program: the environment says nothing.
    Amazon,
    /// The platform's.
    Platform,
    /// Those in this file, PEM.
    Bundle(String),
}

/// The role's temporary credentials. Lambda starts a new process for new ones.
#[derive(Clone)]
pub struct Credentials {
    /// The key's id.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// The token that makes them temporary.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// What the functions that speak to members need besides.
#[derive(Clone, Debug)]
pub struct ChatSettings {
    /// Where `@connections` is.
    pub management_endpoint: String,
    /// How long messages are kept.
    pub history: Duration,
}

/// What the connect function needs besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectSettings {
    /// Which pages' sockets are let in.
    pub origins: AllowedOrigins,
    /// Whether only those are let in who have signed in.
    pub sign_in: bool,
}

impl ConnectSettings {
    /// Reads it. A template of before there was a choice lets all in.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(environment: Environment<'_>) -> Result<Self, ConfigError> {
        let origins = match environment(ALLOWED_ORIGINS) {
            None => AllowedOrigins::Any,
            Some(value) => AllowedOrigins::parse(&value).ok_or(ConfigError::Invalid {
                name: ALLOWED_ORIGINS,
                value,
                expected: "`any`, or origins such as `https://chat.example` with commas in between",
            })?,
        };
        Ok(Self {
            origins,
            sign_in: optional(environment, SIGN_IN).is_some_and(|it| it == "on"),
        })
    }
}

/// What the authorizer needs.
#[derive(Clone, Debug)]
pub struct SignInSettings {
    /// Whose tokens count, letter by letter.
    pub issuer: String,
    /// For whom they have to be.
    pub audience: String,
    /// Where the keys are.
    pub jwks_uri: String,
    /// Whose certificates are trusted.
    pub authorities: Authorities,
}

impl SignInSettings {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(environment: Environment<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            issuer: required(environment, ISSUER)?,
            audience: required(environment, AUDIENCE)?,
            jwks_uri: required(environment, JWKS_URI)?,
            authorities: Authorities::read(environment),
        })
    }
}

/// What the log lines need. None of it is a reason not to start: while a stack is updated, and after the
/// code alone was swapped, functions run for a while with the variables of an older template.
#[derive(Clone)]
pub struct LogSettings {
    /// The stack whose metrics are told, if any are.
    pub metrics_of: Option<String>,
    /// What rooms' digests are made with; without it there are none.
    pub room_key: Option<String>,
}

impl LogSettings {
    /// Reads it, as far as it is there.
    #[must_use]
    pub fn read(environment: Environment<'_>) -> Self {
        let is_on = optional(environment, METRICS).is_some_and(|value| value == "on");
        Self {
            metrics_of: optional(environment, STACK_NAME).filter(|_| is_on),
            room_key: optional(environment, STACK_ID),
        }
    }
}

impl std::fmt::Debug for LogSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LogSettings")
            .field("metrics_of", &self.metrics_of)
            .finish_non_exhaustive()
    }
}

/// The function that a part of a fan-out is handed over to: the one that hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// Its name.
    pub function: String,
    /// Where Lambda is: `https://…`.
    pub endpoint: String,
    /// Members of a room that one invocation posts to.
    pub share: usize,
}

/// A variable that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// It has to be set.
    #[error(
        "the environment variable `{name}` is missing; hint: the template sets it for this function"
    )]
    Missing {
        /// Which one.
        name: &'static str,
    },
    /// It is set to something unusable.
    #[error("the environment variable `{name}` is `{value}`; hint: set it to {expected}")]
    Invalid {
        /// Which one.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Where variables come from: `std::env::var(name).ok()`, or a test's table.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Reads what every function of the chat needs.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(environment: Environment<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            function: Function::read(environment)?,
            table_name: required(environment, TABLE_NAME)?,
            region: required(environment, REGION)?,
            credentials: Credentials {
                access_key_id: required(environment, ACCESS_KEY_ID)?,
                secret_access_key: required(environment, SECRET_ACCESS_KEY)?,
                session_token: optional(environment, SESSION_TOKEN),
            },
            dynamodb_endpoint: optional(environment, ENDPOINT_URL_DYNAMODB)
                .or_else(|| optional(environment, ENDPOINT_URL)),
            authorities: Authorities::read(environment),
        })
    }
}

impl Authorities {
    fn read(environment: Environment<'_>) -> Self {
        if let Some(file) = optional(environment, CA_BUNDLE) {
            return Self::Bundle(file);
        }
        let is_set = |name: &&str| optional(environment, name).is_some();
        if PLATFORM.iter().any(is_set) {
            Self::Platform
        } else {
            Self::Amazon
        }
    }
}

impl ChatSettings {
    /// Reads what the functions that speak to members need.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(environment: Environment<'_>) -> Result<Self, ConfigError> {
        let days = required(environment, HISTORY_DAYS)?;
        let history = match days.parse::<u64>() {
            Ok(0) => HISTORY_MIN,
            Ok(number @ 1..=DAYS_MAX) => Duration::from_secs(number * 24 * 60 * 60),
            _ => {
                return Err(ConfigError::Invalid {
                    name: HISTORY_DAYS,
                    value: days,
                    expected: "a whole number of days from 0 to 3650",
                });
            }
        };
        Ok(Self {
            management_endpoint: required(environment, MANAGEMENT_ENDPOINT)?,
            history,
        })
    }
}

/// Reads how fast one connection may speak; a template of before there was a limit sets none.
///
/// # Errors
/// [`ConfigError`] names the variable.
pub fn tempo(environment: Environment<'_>) -> Result<Option<Tempo>, ConfigError> {
    let Some(value) = optional(environment, MESSAGES_PER_SECOND) else {
        return Ok(None);
    };
    match value.parse() {
        Ok(messages @ 0..=MESSAGES_MAX) => Ok(Tempo::per_second(messages)),
        _ => Err(ConfigError::Invalid {
            name: MESSAGES_PER_SECOND,
            value,
            expected: "a whole number of messages from 0 to 1000",
        }),
    }
}

impl Helper {
    /// Reads what the action function needs to hand over; `None` where Lambda is at no known place, and
    /// with a template of before there were shares, whose role may not invoke either: code alone can be
    /// swapped.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(environment: Environment<'_>) -> Result<Option<Self>, ConfigError> {
        let function = required(environment, FUNCTION_NAME)?;
        let Some(members) = optional(environment, SHARE_MEMBERS) else {
            return Ok(None);
        };
        let share = share(members)?;
        let endpoint = optional(environment, ENDPOINT_URL_LAMBDA)
            .or_else(|| optional(environment, ENDPOINT_URL))
            .or_else(|| lambda_beside(&optional(environment, MANAGEMENT_ENDPOINT)?));
        Ok(endpoint.map(|endpoint| Self {
            function,
            endpoint,
            share,
        }))
    }
}

/// Lambda's endpoint, in the Region and the partition of an API's: only its first label differs from the
/// API's service.
fn lambda_beside(management_endpoint: &str) -> Option<String> {
    let host = management_endpoint.strip_prefix("https://")?;
    let (host, _) = host.split_once('/').unwrap_or((host, ""));
    let (_, place) = host.split_once(".execute-api.")?;
    Some(format!("https://lambda.{place}"))
}

fn share(value: String) -> Result<usize, ConfigError> {
    match value.parse() {
        Ok(members @ 1..=SHARE_MAX) => Ok(members),
        _ => Err(ConfigError::Invalid {
            name: SHARE_MEMBERS,
            value,
            expected: "a whole number of members from 1 to 1000",
        }),
    }
}

fn optional(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

fn required(environment: Environment<'_>, name: &'static str) -> Result<String, ConfigError> {
    optional(environment, name).ok_or(ConfigError::Missing { name })
}

/// The greatest [`MESSAGES_PER_SECOND`].
const MESSAGES_MAX: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a function does without, for a while.
    const LOGS: [&str; 3] = [STACK_NAME, STACK_ID, METRICS];

    /// What an older template does not set.
    const NEWER: [&str; 2] = [SHARE_MEMBERS, MESSAGES_PER_SECOND];

    const LAMBDA: [&str; 4] = [REGION, ACCESS_KEY_ID, SECRET_ACCESS_KEY, FUNCTION_NAME];

    fn value_of(name: &str) -> Option<String> {
        Some(match name {
            HANDLER => "action".to_owned(),
            HISTORY_DAYS => "7".to_owned(),
            SHARE_MEMBERS => "500".to_owned(),
            MESSAGES_PER_SECOND => "5".to_owned(),
            SESSION_TOKEN
            | CA_BUNDLE
            | ENDPOINT_URL
            | ENDPOINT_URL_DYNAMODB
            | ENDPOINT_URL_LAMBDA => return None,
            name if PLATFORM.contains(&name) => return None,
            other => format!("value of {other}"),
        })
    }

    #[test]
    fn each_variable_that_a_function_needs_is_missed_by_name() {
        let variables = Function::Action
            .template_variables()
            .iter()
            .filter(|variable| !LOGS.contains(variable) && !NEWER.contains(variable))
            .chain(&LAMBDA)
            .chain(&[HANDLER]);
        for missing in variables {
            let environment = |name: &str| value_of(name).filter(|_| name != *missing);
            let read = Settings::read(&environment)
                .and_then(|_| ChatSettings::read(&environment))
                .and_then(|_| Helper::read(&environment));
            assert_eq!(
                read.expect_err(missing),
                ConfigError::Missing { name: missing }
            );
        }
    }

    #[test]
    fn no_variable_is_read_that_neither_lambda_nor_the_template_sets() {
        let known = |name: &str| {
            Function::Action.template_variables().contains(&name)
                || LAMBDA.contains(&name)
                || [HANDLER, SESSION_TOKEN, ENDPOINT_URL].contains(&name)
                || [ENDPOINT_URL_DYNAMODB, ENDPOINT_URL_LAMBDA].contains(&name)
                || name == CA_BUNDLE
                || PLATFORM.contains(&name)
        };
        let environment = |name: &str| {
            assert!(known(name), "{name}");
            value_of(name)
        };
        Settings::read(&environment).expect("complete");
        ChatSettings::read(&environment).expect("complete");
        Helper::read(&environment).expect("complete");
        let _ = LogSettings::read(&environment);
    }

    #[test]
    fn with_the_variables_of_an_older_template_there_are_no_metrics_and_rooms_have_no_digests() {
        let with = |missing: &'static [&'static str], metrics: &'static str| {
            LogSettings::read(&move |name: &str| {
                match name {
                    METRICS => Some(metrics.to_owned()),
                    other => value_of(other),
                }
                .filter(|_| !missing.contains(&name))
            })
        };
        let all = with(&[], "on");
        assert_eq!(all.metrics_of.as_deref(), Some("value of STACK_NAME"));
        assert_eq!(all.room_key.as_deref(), Some("value of STACK_ID"));
        assert_eq!(with(&[], "off").metrics_of, None);
        assert_eq!(with(&[], "").metrics_of, None);
        let none = with(&LOGS, "on");
        assert_eq!(none.metrics_of, None);
        assert_eq!(none.room_key, None);
        assert!(!format!("{all:?}").contains("STACK_ID"), "{all:?}");
    }

    #[test]
    fn an_unknown_handler_and_a_wrong_number_of_days_are_refused() {
        let with = |variable: &'static str, value: &'static str| {
            move |name: &str| {
                if name == variable {
                    Some(value.to_owned())
                } else {
                    value_of(name)
                }
            }
        };
        assert!(matches!(
            Settings::read(&with(HANDLER, "main")),
            Err(ConfigError::Invalid { name: HANDLER, .. })
        ));
        for days in ["-1", "week", "99999", "0.5"] {
            assert!(matches!(
                ChatSettings::read(&with(HISTORY_DAYS, days)),
                Err(ConfigError::Invalid {
                    name: HISTORY_DAYS,
                    ..
                })
            ));
        }
    }

    #[test]
    fn errands_go_to_lambda_beside_the_api_or_where_the_environment_says_or_nowhere() {
        const API: &str = "https://a1b2.execute-api.cn-north-1.amazonaws.com.cn/dev";
        const LOCAL: &str = "http://127.0.0.1:4000/dev";
        let read = |variables: &[(&'static str, &'static str)]| {
            let variables = variables.to_vec();
            let environment = move |name: &str| {
                let set = variables.iter().find(|(variable, _)| *variable == name);
                set.map_or_else(|| value_of(name), |(_, value)| Some((*value).to_owned()))
            };
            let helper = Helper::read(&environment).expect("complete");
            helper.map(|helper| (helper.function, helper.endpoint))
        };
        let own = "value of AWS_LAMBDA_FUNCTION_NAME";
        let cases: [(&[_], _); 4] = [
            (&[(MANAGEMENT_ENDPOINT, LOCAL)], None),
            (
                &[(MANAGEMENT_ENDPOINT, API)],
                Some((own, "https://lambda.cn-north-1.amazonaws.com.cn")),
            ),
            (
                &[(MANAGEMENT_ENDPOINT, API), (ENDPOINT_URL, "http://all")],
                Some((own, "http://all")),
            ),
            (
                &[
                    (ENDPOINT_URL, "http://all"),
                    (ENDPOINT_URL_LAMBDA, "http://lambda"),
                ],
                Some((own, "http://lambda")),
            ),
        ];
        for (variables, expected) in cases {
            let expected = expected.map(|(name, url)| (name.to_owned(), url.to_owned()));
            assert_eq!(read(variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_origins_is_refused_rather_than_letting_anybody_in() {
        let read = |value: Option<&'static str>| {
            ConnectSettings::read(&move |name: &str| {
                value.filter(|_| name == ALLOWED_ORIGINS).map(str::to_owned)
            })
        };
        let origins = |value| read(value).map(|it| it.origins);
        assert_eq!(origins(None), Ok(AllowedOrigins::Any), "an older template");
        assert_eq!(origins(Some("any")), Ok(AllowedOrigins::Any));
        for wrong in ["", "chat.example", "https://a.example,,"] {
            let refused = read(Some(wrong)).expect_err(wrong);
            assert!(refused.to_string().contains(ALLOWED_ORIGINS), "{refused}");
        }
    }

    #[test]
    fn with_a_template_of_before_there_were_shares_nothing_is_handed_over() {
        let environment = |name: &str| value_of(name).filter(|_| name != SHARE_MEMBERS);
        assert_eq!(Helper::read(&environment), Ok(None));
    }

    #[test]
    fn a_share_of_nobody_or_of_too_many_for_one_request_is_refused() {
        for members in ["0", "1001", "-1", "all"] {
            let environment = |name: &str| match name {
                SHARE_MEMBERS => Some(members.to_owned()),
                other => value_of(other),
            };
            let error = Helper::read(&environment).expect_err(members);
            assert!(error.to_string().contains(SHARE_MEMBERS), "{error}");
        }
    }

    #[test]
    fn a_connection_speaks_as_fast_as_the_template_says_or_as_it_likes() {
        let read = |value: Option<&'static str>| {
            tempo(&move |name: &str| {
                value
                    .filter(|_| name == MESSAGES_PER_SECOND)
                    .map(str::to_owned)
            })
        };
        for (value, expected) in [
            (None, None),
            (Some("0"), None),
            (Some("5"), Tempo::per_second(5)),
            (Some("1000"), Tempo::per_second(1_000)),
        ] {
            assert_eq!(read(value), Ok(expected), "{value:?}");
        }
        for wrong in ["-1", "1001", "0.5", "fast"] {
            let error = read(Some(wrong)).expect_err(wrong);
            assert!(error.to_string().contains(MESSAGES_PER_SECOND), "{error}");
        }
    }

    #[test]
    fn no_days_of_history_are_ten_minutes() {
        for (days, minutes) in [("0", 10), ("1", 24 * 60), ("7", 7 * 24 * 60)] {
            let environment = |name: &str| match name {
                HISTORY_DAYS => Some(days.to_owned()),
                other => value_of(other),
            };
            let settings = ChatSettings::read(&environment).expect("complete");
            assert_eq!(settings.history, Duration::from_mins(minutes), "{days}");
        }
    }

    #[test]
    fn an_endpoint_for_dynamodb_goes_before_one_for_everything() {
        let environment = |name: &str| match name {
            ENDPOINT_URL => Some("http://all".to_owned()),
            ENDPOINT_URL_DYNAMODB => Some("http://dynamodb".to_owned()),
            other => value_of(other),
        };
        let settings = Settings::read(&environment).expect("complete");
        assert_eq!(
            settings.dynamodb_endpoint.as_deref(),
            Some("http://dynamodb")
        );
    }

    #[test]
    fn amazons_authorities_are_trusted_unless_the_environment_names_others_or_a_proxy() {
        let with = |variables: &[(&'static str, &'static str)]| {
            let variables = variables.to_vec();
            let environment = move |name: &str| {
                let set = variables.iter().find(|(variable, _)| *variable == name);
                set.map(|(_, value)| (*value).to_owned())
            };
            Authorities::read(&environment)
        };
        let bundle = Authorities::Bundle("/own.pem".to_owned());
        assert_eq!(with(&[]), Authorities::Amazon);
        assert_eq!(with(&[("SSL_CERT_FILE", "")]), Authorities::Amazon);
        for name in PLATFORM {
            assert_eq!(with(&[(name, "x")]), Authorities::Platform, "{name}");
        }
        assert_eq!(with(&[(CA_BUNDLE, "/own.pem")]), bundle);
        let both = [("SSL_CERT_FILE", "/other.pem"), (CA_BUNDLE, "/own.pem")];
        assert_eq!(with(&both), bundle, "AWS's own name goes first");
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = Settings::read(&value_of).expect("complete");
        assert!(!format!("{settings:?}").contains(SECRET_ACCESS_KEY));
    }
}
