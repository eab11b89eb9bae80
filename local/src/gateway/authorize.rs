//! The authorizer of `$connect`: asked before the route's own function, which gets what it says (AWS's
//! Developer Guide, “Control access to WebSocket APIs with AWS Lambda REQUEST authorizers”).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value};

use super::Gateway;
use super::connections::Connection;
use super::event::{self, Handshake, Kind};
use super::integration::own_text;
use crate::template::{ACCOUNT_ID, Authorizer, IdentitySource, REGION, Route};

/// No quota page names it; other integrations of a WebSocket API get as much.
const TIMEOUT: Duration = Duration::from_secs(29);

/// What an authorizer says of who it is: fields that the route's functions get.
pub(super) type Context = Map<String, Value>;

/// What an authorizer's answer comes to.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Allow(Context),
    /// Whether some statement says so, or merely none allows it.
    Deny {
        explicit: bool,
    },
}

impl Gateway {
    /// Asks a route's authorizer; without one there is nothing to say.
    pub(super) async fn authorize(
        &self,
        route: &Route,
        handshake: Handshake<'_>,
        connection: &Connection,
    ) -> Result<Option<Context>, Response<Full<Bytes>>> {
        let Some(authorizer) = &route.authorizer else {
            return Ok(None);
        };
        let request_id = event::request_id();
        let refused = |status, text: &str| {
            let text = own_text(text, connection, &request_id);
            super::text_response(status, text)
        };
        if !has_all(&authorizer.identity_sources, handshake) {
            return Err(refused(StatusCode::UNAUTHORIZED, "Unauthorized"));
        }
        let arn = format!(
            "arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{}/{}/$connect",
            self.api.id, self.api.stage
        );
        let asked = self.ask(authorizer, handshake, connection, &request_id, &arn);
        match asked.await.and_then(|answer| read(&answer, &arn)) {
            Some(Decision::Allow(context)) => Ok(Some(context)),
            Some(Decision::Deny { explicit }) => {
                let why = if explicit {
                    "User is not authorized to access this resource with an explicit deny"
                } else {
                    "User is not authorized to access this resource"
                };
                Err(refused(StatusCode::FORBIDDEN, why))
            }
            None => Err(refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal server error",
            )),
        }
    }

    /// What the function answers, if it does in time.
    async fn ask(
        &self,
        authorizer: &Authorizer,
        handshake: Handshake<'_>,
        connection: &Connection,
        request_id: &str,
        arn: &str,
    ) -> Option<Bytes> {
        let kind = Kind::Connect(handshake);
        let event = event::build(self.source(), connection, "$connect", request_id, kind);
        let mut event: Map<String, Value> = serde_json::from_slice(&event).ok()?;
        event.remove("isBase64Encoded");
        event.insert("type".to_owned(), "REQUEST".into());
        event.insert("methodArn".to_owned(), arn.into());
        let event = Value::Object(event).to_string().into();
        let (functions, function) = (self.functions.clone(), authorizer.function.clone());
        let invocation = tokio::spawn(async move { functions.invoke(&function, event).await });
        let answered = tokio::time::timeout(TIMEOUT, invocation).await;
        answered.ok()?.ok()?.ok()
    }
}

/// An empty value counts for none, as on AWS.
fn has_all(sources: &[IdentitySource], handshake: Handshake<'_>) -> bool {
    sources.iter().all(|source| match source {
        IdentitySource::Header(name) => {
            let value = handshake.headers.get(name.as_str());
            value.is_some_and(|it| !it.is_empty())
        }
        IdentitySource::Query(name) => handshake.query_value(name).is_some_and(|it| !it.is_empty()),
    })
}

/// Reads `{"principalId": …, "policyDocument": …, "context": …}`; `None` for what API Gateway would not take.
fn read(answer: &[u8], arn: &str) -> Option<Decision> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let statements = match &answer["policyDocument"]["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return None,
    };
    let principal = answer["principalId"].as_str()?;
    let applies = |it: &&Value| {
        list(&it["Action"]).any(|action| {
            ["execute-api:Invoke", "execute-api:*", "*"]
                .iter()
                .any(|it| action.eq_ignore_ascii_case(it))
        }) && list(&it["Resource"]).any(|resource| matches(resource, arn))
    };
    let mut effects = statements
        .iter()
        .filter(applies)
        .map(|it| it["Effect"].as_str());
    let (mut allowed, mut denied) = (false, false);
    effects.by_ref().for_each(|effect| match effect {
        Some("Allow") => allowed = true,
        _ => denied = true,
    });
    if denied || !allowed {
        return Some(Decision::Deny { explicit: denied });
    }
    let mut context = Context::new();
    match &answer["context"] {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                // Plain values alone, and as texts.
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(_) | Value::Bool(_) => value.to_string(),
                    _ => return None,
                };
                context.insert(name.clone(), text.into());
            }
        }
        _ => return None,
    }
    context.insert("principalId".to_owned(), principal.into());
    Some(Decision::Allow(context))
}

fn list(value: &Value) -> impl Iterator<Item = &str> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    items.iter().filter_map(Value::as_str)
}

/// `*` stands for anything, as in a policy.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:execute-api:us-east-1:000000000000:local/dev/$connect";

    fn policy(statements: &Value) -> Value {
        json!({"principalId": "p", "policyDocument": {"Statement": statements}})
    }

    fn statement(effect: &str, resource: &str) -> Value {
        json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource})
    }

    fn decided(answer: &Value) -> Option<Decision> {
        read(answer.to_string().as_bytes(), ARN)
    }

    #[test]
    fn what_allows_this_route_lets_in_and_what_denies_it_goes_first() {
        let allow = |resource| policy(&json!([statement("Allow", resource)]));
        for resource in [
            ARN,
            "*",
            "arn:aws:execute-api:*:*:local/*/$connect",
            "arn:*",
        ] {
            let decision = decided(&allow(resource));
            assert!(matches!(decision, Some(Decision::Allow(_))), "{resource}");
        }
        for resource in [
            "",
            "arn:aws:execute-api:*:*:other/*",
            &ARN[..20],
            "*/$default",
        ] {
            let decision = decided(&allow(resource));
            assert_eq!(
                decision,
                Some(Decision::Deny { explicit: false }),
                "{resource}"
            );
        }
        let denied = Some(Decision::Deny { explicit: true });
        let both = policy(&json!([statement("Allow", "*"), statement("Deny", ARN)]));
        assert_eq!(decided(&both), denied);
        assert_eq!(decided(&policy(&statement("Deny", "*"))), denied);
        let another = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
        let none = Some(Decision::Deny { explicit: false });
        assert_eq!(decided(&policy(&json!([another]))), none);
    }

    #[test]
    fn the_context_is_plain_values_as_texts_and_who_it_is() {
        let mut answer = policy(&statement("Allow", "*"));
        answer["context"] = json!({"name": "ann", "age": 7, "is": true});
        let expected = json!({"name": "ann", "age": "7", "is": "true", "principalId": "p"});
        let Some(Decision::Allow(context)) = decided(&answer) else {
            panic!("let in");
        };
        assert_eq!(Value::Object(context), expected);
        for nested in [
            json!({"a": {}}),
            json!({"a": []}),
            json!({"a": null}),
            json!("text"),
        ] {
            answer["context"] = nested;
            assert_eq!(decided(&answer), None, "{answer}");
        }
    }

    #[test]
    fn what_is_no_policy_is_none() {
        for answer in [
            json!(null),
            json!("Allow"),
            json!({"isAuthorized": true}),
            json!({"principalId": "p"}),
            json!({"principalId": "p", "policyDocument": {}}),
            json!({"policyDocument": {"Statement": [statement("Allow", "*")]}}),
        ] {
            assert_eq!(decided(&answer), None, "{answer}");
        }
        assert_eq!(read(b"{", ARN), None);
    }
}
