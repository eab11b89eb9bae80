//! The authorizer of `$connect`, where people sign in: API Gateway asks it before any other function, and
//! gives that one what this one says of who it is.

use std::collections::HashMap;
use std::hash::BuildHasher;

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chat::Name;
use crate::log;
use crate::ports::{ConnectionId, Identity};
use crate::sign_in::{KeyError, KeySource, Refusal, SignInError, Verifier};

/// What a client offers, and is answered.
pub const PROTOCOL: &str = "chatctl";

/// How the subprotocol begins that is a token: a browser has no other header for it.
const BEARER: &str = "bearer.";

/// What of a name is written otherwise: API Gateway's context is for plain texts.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// What API Gateway asks with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizeEvent {
    /// What is to be allowed.
    method_arn: String,
    /// The last value of each header.
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    /// All values of each.
    #[serde(default)]
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
    request_context: RequestContext,
}

/// Of whom.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    connection_id: Option<String>,
}

/// What API Gateway is told: whether to go on, and who it is.
///
/// # Errors
/// [`KeyError`] when nobody can tell whether a token is good: that is no fault of whoever has it.
pub async fn handle(
    verifier: &Verifier<impl KeySource>,
    event: &AuthorizeEvent,
) -> Result<Value, KeyError> {
    log::event("authorize");
    if let Some(id) = &event.request_context.connection_id {
        log::connection(&ConnectionId::new(id));
    }
    let identity = match token(event) {
        Some(token) => verifier.verify(token).await,
        None => Err(Refusal::NoToken.into()),
    };
    let arn = &event.method_arn;
    match identity {
        Ok(identity) => Ok(policy("Allow", arn, &context(&identity))),
        Err(SignInError::Refused(refusal)) => {
            log::forbidden(refusal.word());
            Ok(policy("Deny", arn, &json!({})))
        }
        Err(SignInError::Keys(error)) => Err(error),
    }
}

/// The token that a client offers beside the protocol that it wants.
fn token(event: &AuthorizeEvent) -> Option<&str> {
    let is_it = |name: &String| name.eq_ignore_ascii_case("sec-websocket-protocol");
    let all = event.multi_value_headers.iter().flatten();
    let all = all.filter(|(name, _)| is_it(name)).flat_map(|(_, it)| it);
    let last = event.headers.iter().flatten();
    let last = last.filter(|(name, _)| is_it(name)).map(|(_, it)| it);
    let lines: Vec<_> = all.map(String::as_str).collect();
    let lines = if lines.is_empty() {
        last.map(String::as_str).collect()
    } else {
        lines
    };
    let offered: Vec<_> = lines
        .iter()
        .flat_map(|it| it.split(','))
        .map(str::trim)
        .collect();
    let mut tokens = offered.iter().filter_map(|it| it.strip_prefix(BEARER));
    // Of two nobody could say whose the connection is.
    match (tokens.next(), tokens.next()) {
        (Some(token), None) if offered.contains(&PROTOCOL) => Some(token),
        _ => None,
    }
}

/// Whether a client offers the protocol that it is to be answered.
pub fn offers_protocol(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|offered| offered.trim() == PROTOCOL)
}

fn policy(effect: &str, arn: &str, context: &Value) -> Value {
    json!({
        // API Gateway wants one, and tells it to the functions behind: the subject is for one of them.
        "principalId": "signed-in",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": arn}],
        },
        "context": context,
    })
}

const SUBJECT: &str = "subject";
const NAME: &str = "name";

fn context(identity: &Identity) -> Value {
    let name = utf8_percent_encode(identity.name.shown(), ESCAPED);
    let subject = utf8_percent_encode(&identity.subject, ESCAPED);
    json!({SUBJECT: subject.to_string(), NAME: name.to_string()})
}

/// Who it is by the authorizer's word, in what the connect function gets; `None` where there is no such word.
#[must_use]
pub fn identity<S: BuildHasher>(context: &HashMap<String, Value, S>) -> Option<Identity> {
    let text = |name| {
        let text = percent_decode_str(context.get(name)?.as_str()?).decode_utf8();
        Some(text.ok()?.into_owned())
    };
    let subject = text(SUBJECT).filter(|it| !it.is_empty())?;
    let name = Name::parse(&text(NAME)?).ok()?;
    Some(Identity { subject, name })
}
