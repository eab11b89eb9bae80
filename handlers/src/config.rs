//! Every environment variable that the handlers read, by name. Read once, at start.

mod settings;
#[cfg(test)]
mod tests;

pub use settings::{
    Authorities, ChatSettings, ConnectSettings, Credentials, Helper, LogSettings, Settings,
    SignInSettings,
};

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

fn optional(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

fn required(environment: Environment<'_>, name: &'static str) -> Result<String, ConfigError> {
    optional(environment, name).ok_or(ConfigError::Missing { name })
}
