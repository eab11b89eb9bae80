//! What functions answer, and what API Gateway makes of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::connections::Connection;
use super::event::Kind;
use super::{Gateway, event};
use crate::template::Route;

/// A function's proxy response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Message>,
    pub(super) protocol: Option<String>,
}

/// The integration failed: the function did, timed out, or answered something else than a proxy
/// response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) request_id: String,
}

impl Gateway {
    /// Who sends events.
    pub(super) fn source(&self) -> event::Source<'_> {
        event::Source {
            api_id: &self.api.id,
            stage: &self.api.stage,
            authority: &self.authority,
        }
    }

    /// Invokes a route's function. The invocation goes on to its end even when nobody waits for it
    /// any longer.
    pub(super) async fn integrate(
        &self,
        route_key: &str,
        route: &Route,
        connection: &Connection,
        kind: Kind<'_>,
    ) -> Result<Reply, Failed> {
        let request_id = event::request_id();
        let event = event::build(self.source(), connection, route_key, &request_id, kind);
        let (functions, function) = (self.functions.clone(), route.function.clone());
        let asker = connection.id.clone();
        let invocation =
            tokio::spawn(async move { functions.invoke_for(&asker, &function, event).await });
        let outcome = tokio::time::timeout(route.timeout, invocation).await;
        let Ok(Ok(Ok(response))) = outcome else {
            return Err(Failed { request_id });
        };
        read(&response).ok_or(Failed { request_id })
    }
}

/// Reads `{"statusCode": …, "body": …, "isBase64Encoded": …, "headers": …}`.
pub(crate) fn read(response: &[u8]) -> Option<Reply> {
    let response: Value = serde_json::from_slice(response).ok()?;
    let status = &response["statusCode"];
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    let body = match &response["body"] {
        Value::Null => None,
        Value::String(body) if response["isBase64Encoded"] == true => {
            Some(Message::binary(STANDARD.decode(body).ok()?))
        }
        Value::String(body) => Some(Message::text(body.as_str())),
        _ => return None,
    };
    let headers = response["headers"].as_object();
    let protocol = headers.and_then(|headers| {
        let named =
            |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case("sec-websocket-protocol");
        Some(headers.iter().find(named)?.1.as_str()?.to_owned())
    });
    Some(Reply {
        status: u16::try_from(status).ok()?,
        body,
        protocol,
    })
}

/// A frame of API Gateway's own, as it words and spaces it.
pub(super) fn own_frame(message: &str, connection: &Connection, request_id: &str) -> Message {
    Message::text(own_text(message, connection, request_id))
}

/// The same as a text.
pub(super) fn own_text(message: &str, connection: &Connection, request_id: &str) -> String {
    let id = &connection.id;
    format!(r#"{{"message": "{message}", "connectionId":"{id}", "requestId":"{request_id}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(response: &str) -> Option<Reply> {
        read(response.as_bytes())
    }

    #[test]
    fn a_proxy_response_is_read_with_its_body_as_text_or_binary() {
        let text =
            reply(r#"{"statusCode":200,"body":"hi","headers":{"Sec-WebSocket-Protocol":"x"}}"#);
        let expected = Reply {
            status: 200,
            body: Some(Message::text("hi")),
            protocol: Some("x".to_owned()),
        };
        assert_eq!(text, Some(expected));
        let binary = reply(r#"{"statusCode":"200","body":"aGk=","isBase64Encoded":true}"#);
        assert_eq!(
            binary.and_then(|reply| reply.body),
            Some(Message::binary(&b"hi"[..]))
        );
        assert_eq!(
            reply(r#"{"statusCode":403}"#).map(|reply| (reply.status, reply.body)),
            Some((403, None))
        );
    }

    #[test]
    fn anything_else_is_a_failed_integration() {
        for response in [
            "",
            "null",
            "{}",
            r#""ok""#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":70000}"#,
            r#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#,
        ] {
            assert_eq!(reply(response), None, "{response}");
        }
    }
}
