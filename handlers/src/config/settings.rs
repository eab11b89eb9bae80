//! What is made of the variables: for each part of the functions what it needs, checked.

use std::time::Duration;

use super::{
    ACCESS_KEY_ID, ALLOWED_ORIGINS, AUDIENCE, CA_BUNDLE, ConfigError, ENDPOINT_URL,
    ENDPOINT_URL_DYNAMODB, ENDPOINT_URL_LAMBDA, Environment, FUNCTION_NAME, HISTORY_DAYS, ISSUER,
    JWKS_URI, MANAGEMENT_ENDPOINT, MESSAGES_PER_SECOND, METRICS, PLATFORM, REGION,
    SECRET_ACCESS_KEY, SESSION_TOKEN, SHARE_MEMBERS, SIGN_IN, STACK_ID, STACK_NAME, TABLE_NAME,
    optional, required,
};
use crate::chat::{SHARE_MAX, Tempo};
use crate::origin::AllowedOrigins;

/// Without a history, messages are kept for as long as a client may take to come back.
const HISTORY_MIN: Duration = Duration::from_mins(10);

/// The greatest [`HISTORY_DAYS`].
const DAYS_MAX: u64 = 3650;

/// The greatest [`MESSAGES_PER_SECOND`].
const MESSAGES_MAX: u32 = 1_000;

/// What every function of the chat needs.
#[derive(Clone, Debug)]
pub struct Settings {
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

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(environment: Environment<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
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

impl Authorities {
    pub(super) fn read(environment: Environment<'_>) -> Self {
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

/// What the functions that speak to members need besides.
#[derive(Clone, Debug)]
pub struct ChatSettings {
    /// Where `@connections` is.
    pub management_endpoint: String,
    /// How long messages are kept.
    pub history: Duration,
    /// How fast one connection may speak; `None` is no limit.
    pub tempo: Option<Tempo>,
}

impl ChatSettings {
    /// Reads them. A template of before there was a limit sets none, and the disconnect function's never does.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable.
    pub fn read(environment: Environment<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            management_endpoint: required(environment, MANAGEMENT_ENDPOINT)?,
            history: history(required(environment, HISTORY_DAYS)?)?,
            tempo: match optional(environment, MESSAGES_PER_SECOND) {
                Some(messages) => tempo(messages)?,
                None => None,
            },
        })
    }
}

fn history(days: String) -> Result<Duration, ConfigError> {
    match days.parse::<u64>() {
        Ok(0) => Ok(HISTORY_MIN),
        Ok(number @ 1..=DAYS_MAX) => Ok(Duration::from_secs(number * 24 * 60 * 60)),
        _ => Err(ConfigError::Invalid {
            name: HISTORY_DAYS,
            value: days,
            expected: "a whole number of days from 0 to 3650",
        }),
    }
}

fn tempo(messages: String) -> Result<Option<Tempo>, ConfigError> {
    match messages.parse() {
        Ok(messages @ 0..=MESSAGES_MAX) => Ok(Tempo::per_second(messages)),
        _ => Err(ConfigError::Invalid {
            name: MESSAGES_PER_SECOND,
            value: messages,
            expected: "a whole number of messages from 0 to 1000",
        }),
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

fn share(members: String) -> Result<usize, ConfigError> {
    match members.parse() {
        Ok(members @ 1..=SHARE_MAX) => Ok(members),
        _ => Err(ConfigError::Invalid {
            name: SHARE_MEMBERS,
            value: members,
            expected: "a whole number of members from 1 to 1000",
        }),
    }
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
    /// Reads them. A template of before there was a choice lets all in.
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
    /// Reads them.
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
    /// Reads them, as far as they are there.
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
