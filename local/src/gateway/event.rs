//! What functions are given, field by field as API Gateway sends it (AWS's Developer Guide, “Set up
//! WebSocket integration request”, and “Working with AWS Lambda proxy integrations for WebSocket
//! APIs”).

use std::time::SystemTime;

use bytes::Bytes;
use hyper::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::Gateway;
use super::connections::Connection;

/// What kind of event it is, with what only that kind has.
pub(super) enum Kind<'a> {
    Connect {
        headers: &'a HeaderMap,
        query: Option<&'a str>,
    },
    Message {
        body: &'a str,
        is_base64_encoded: bool,
    },
    Disconnect {
        code: u16,
        reason: &'a str,
    },
}

impl Gateway {
    /// The event of one request, and the request's id.
    pub(super) fn event(
        &self,
        connection: &Connection,
        route_key: &str,
        kind: &Kind<'_>,
    ) -> (Bytes, String) {
        let request_id = request_id();
        let mut context = self.context(connection, route_key, &request_id);
        let mut event = Map::new();
        let event_type = match kind {
            Kind::Connect { headers, query } => {
                add_headers(&mut event, headers, connection, &self.authority);
                add_query(&mut event, query.unwrap_or_default());
                "CONNECT"
            }
            Kind::Message { body, .. } => {
                context.insert("messageId".to_owned(), super::connections::new_id().into());
                event.insert("body".to_owned(), (*body).into());
                "MESSAGE"
            }
            Kind::Disconnect { code, reason } => {
                let sent = [
                    ("Host", self.authority.as_str()),
                    ("x-api-key", ""),
                    ("X-Forwarded-For", ""),
                    ("x-restapi", ""),
                ];
                insert_headers(
                    &mut event,
                    sent.map(|(name, value)| (name.to_owned(), value.to_owned())),
                );
                context.insert("disconnectStatusCode".to_owned(), (*code).into());
                context.insert("disconnectReason".to_owned(), (*reason).into());
                "DISCONNECT"
            }
        };
        context.insert("eventType".to_owned(), event_type.into());
        event.insert("requestContext".to_owned(), context.into());
        let is_base64_encoded = matches!(
            kind,
            Kind::Message {
                is_base64_encoded: true,
                ..
            }
        );
        event.insert("isBase64Encoded".to_owned(), is_base64_encoded.into());
        (Value::Object(event).to_string().into(), request_id)
    }

    fn context(
        &self,
        connection: &Connection,
        route_key: &str,
        request_id: &str,
    ) -> Map<String, Value> {
        let now = SystemTime::now();
        let mut identity = Map::new();
        if let Some(user_agent) = &connection.client.user_agent {
            identity.insert("userAgent".to_owned(), user_agent.as_str().into());
        }
        identity.insert(
            "sourceIp".to_owned(),
            connection.client.source_ip.as_str().into(),
        );
        let context = json!({
            "routeKey": route_key,
            "messageDirection": "IN",
            "stage": self.api.stage,
            "apiId": self.api.id,
            "domainName": self.authority,
            "connectionId": connection.id,
            "connectedAt": millis(connection.connected_at),
            "requestId": request_id,
            "extendedRequestId": request_id,
            "requestTime": common_log_time(now),
            "requestTimeEpoch": millis(now),
            "identity": identity,
        });
        match context {
            Value::Object(context) => context,
            _ => Map::new(),
        }
    }
}

/// A request id in API Gateway's form, such as `L0SM9cOFvHcCIhw=`.
pub(super) fn request_id() -> String {
    super::connections::new_id()
}

fn millis(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `09/Feb/2024:18:11:43 +0000`.
fn common_log_time(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let month = time.month().to_string();
    format!(
        "{:02}/{}/{}:{:02}:{:02}:{:02} +0000",
        time.day(),
        &month[..3],
        time.year(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The client's headers, and those that API Gateway's front adds.
fn add_headers(
    event: &mut Map<String, Value>,
    headers: &HeaderMap,
    connection: &Connection,
    authority: &str,
) {
    let own = headers
        .iter()
        .filter(|(name, _)| !["connection", "upgrade"].contains(&name.as_str()));
    let own = own.map(|(name, value)| {
        (
            canonical(name.as_str()),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let port = authority.rsplit_once(':').map_or("80", |(_, port)| port);
    let added = [
        ("X-Forwarded-For", connection.client.source_ip.as_str()),
        ("X-Forwarded-Port", port),
        ("X-Forwarded-Proto", "http"),
    ];
    let added = added.map(|(name, value)| (name.to_owned(), value.to_owned()));
    insert_headers(event, own.chain(added));
}

/// `headers` has the last value of each, `multiValueHeaders` all of them.
fn insert_headers(
    event: &mut Map<String, Value>,
    headers: impl IntoIterator<Item = (String, String)>,
) {
    let (single, multi) = single_and_multi(headers);
    event.insert("headers".to_owned(), single.into());
    event.insert("multiValueHeaders".to_owned(), multi.into());
}

/// Both are left out where there is no query string.
fn add_query(event: &mut Map<String, Value>, query: &str) {
    let pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
    let (single, multi) = single_and_multi(pairs);
    if !single.is_empty() {
        event.insert("queryStringParameters".to_owned(), single.into());
        event.insert("multiValueQueryStringParameters".to_owned(), multi.into());
    }
}

fn decoded(part: &str) -> String {
    percent_decode_str(&part.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

fn single_and_multi(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut single, mut multi) = (Map::new(), Map::new());
    for (name, value) in pairs {
        single.insert(name.clone(), value.clone().into());
        match multi
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()))
        {
            Value::Array(values) => values.push(value.into()),
            _ => unreachable!("only arrays are put in"),
        }
    }
    (single, multi)
}

/// A header's name as clients usually write it: `sec-websocket-key` becomes `Sec-WebSocket-Key`.
fn canonical(name: &str) -> String {
    let parts = name.split('-').map(|part| match part {
        "websocket" => "WebSocket".to_owned(),
        part => part
            .get(..1)
            .map_or_else(String::new, |first| first.to_uppercase() + &part[1..]),
    });
    parts.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_in_the_common_log_format() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_707_502_303);
        assert_eq!(common_log_time(time), "09/Feb/2024:18:11:43 +0000");
    }

    #[test]
    fn header_names_get_their_usual_case() {
        assert_eq!(canonical("sec-websocket-key"), "Sec-WebSocket-Key");
        assert_eq!(canonical("host"), "Host");
    }

    #[test]
    fn of_several_values_the_last_is_the_single_one() {
        let mut event = Map::new();
        add_query(&mut event, "a=1&a=2&b=x%20y+z&c");
        assert_eq!(
            Value::Object(event),
            json!({
                "queryStringParameters": {"a": "2", "b": "x y z", "c": ""},
                "multiValueQueryStringParameters": {"a": ["1", "2"], "b": ["x y z"], "c": [""]},
            })
        );
    }

    #[test]
    fn without_a_query_string_both_fields_are_left_out() {
        let mut event = Map::new();
        add_query(&mut event, "");
        assert!(event.is_empty());
    }
}
