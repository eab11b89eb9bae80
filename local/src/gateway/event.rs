//! What functions are given, field by field as API Gateway sends it (AWS's Developer Guide, “Set up
//! WebSocket integration request”, and “Working with AWS Lambda proxy integrations for WebSocket
//! APIs”).

use std::collections::HashMap;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::connections::Connection;

/// What kind of event it is, with what only that kind has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    Connect(Handshake<'a>),
    Message { body: &'a str },
    Disconnect { code: u16, reason: &'a str },
}

/// The request that opens a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshake<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// The headers' names as the client wrote them, by their lower-case form.
    pub(crate) names: &'a HashMap<String, String>,
    pub(crate) query: Option<&'a str>,
}

impl Handshake<'_> {
    /// The last value of a name in the query string.
    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        let pairs = self.query.unwrap_or_default().split('&');
        let named = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key) == name).then(|| decoded(value))
        });
        named.last()
    }
}

/// The API that sends the event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) api_id: &'a str,
    pub(crate) stage: &'a str,
    /// `host:port`, where AWS has a host without a port.
    pub(crate) authority: &'a str,
}

/// The event of one request.
pub(crate) fn build(
    source: Source<'_>,
    connection: &Connection,
    route_key: &str,
    request_id: &str,
    kind: Kind<'_>,
) -> Bytes {
    let mut event = Map::new();
    let mut context = Map::new();
    context.insert("routeKey".to_owned(), route_key.into());
    let event_type = match kind {
        Kind::Connect(handshake) => {
            let port = source
                .authority
                .rsplit_once(':')
                .map_or("80", |(_, port)| port);
            add_headers(&mut event, handshake, &connection.client.source_ip, port);
            add_query(&mut event, handshake.query.unwrap_or_default());
            "CONNECT"
        }
        Kind::Message { .. } => {
            context.insert("messageId".to_owned(), super::connections::new_id().into());
            "MESSAGE"
        }
        Kind::Disconnect { code, reason } => {
            let sent = [
                ("Host", source.authority),
                ("x-api-key", ""),
                ("X-Forwarded-For", ""),
                ("x-restapi", ""),
            ];
            let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
            insert_headers(&mut event, sent);
            context.insert("disconnectStatusCode".to_owned(), code.into());
            context.insert("disconnectReason".to_owned(), reason.into());
            "DISCONNECT"
        }
    };
    context.insert("eventType".to_owned(), event_type.into());
    if let Some(authorizer) = connection.authorizer.get() {
        context.insert("authorizer".to_owned(), authorizer.clone().into());
    }
    add_context(&mut context, source, connection, request_id);
    event.insert("requestContext".to_owned(), context.into());
    if let Kind::Message { body } = kind {
        event.insert("body".to_owned(), body.into());
    }
    // Never true: API Gateway takes no binary frames.
    event.insert("isBase64Encoded".to_owned(), false.into());
    Value::Object(event).to_string().into()
}

/// The part of the request context that all kinds have.
fn add_context(
    context: &mut Map<String, Value>,
    source: Source<'_>,
    connection: &Connection,
    request_id: &str,
) {
    let now = SystemTime::now();
    let mut identity = Map::new();
    if let Some(user_agent) = &connection.client.user_agent {
        identity.insert("userAgent".to_owned(), user_agent.as_str().into());
    }
    let source_ip = connection.client.source_ip.as_str();
    identity.insert("sourceIp".to_owned(), source_ip.into());
    let fields: [(&str, Value); 11] = [
        ("extendedRequestId", request_id.into()),
        ("requestTime", common_log_time(now).into()),
        ("messageDirection", "IN".into()),
        ("stage", source.stage.into()),
        ("connectedAt", millis(connection.connected_at).into()),
        ("requestTimeEpoch", millis(now).into()),
        ("identity", identity.into()),
        ("requestId", request_id.into()),
        ("domainName", source.authority.into()),
        ("connectionId", connection.id.as_str().into()),
        ("apiId", source.api_id.into()),
    ];
    context.extend(fields.map(|(name, value)| (name.to_owned(), value)));
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
    handshake: Handshake<'_>,
    source_ip: &str,
    port: &str,
) {
    const ADDED: [&str; 4] = [
        "x-amzn-trace-id",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-forwarded-proto",
    ];
    let own = handshake.headers.iter().filter(|(name, _)| {
        !["connection", "upgrade"].contains(&name.as_str()) && !ADDED.contains(&name.as_str())
    });
    let own = own.map(|(name, value)| {
        let written = handshake.names.get(name.as_str());
        (
            written.map_or_else(|| canonical(name.as_str()), Clone::clone),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let added = [
        ("X-Amzn-Trace-Id", trace_id().as_str()),
        ("X-Forwarded-For", source_ip),
        ("X-Forwarded-Port", port),
        ("X-Forwarded-Proto", "http"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    insert_headers(event, own.chain(added));
}

/// A trace id in X-Ray's form, such as `Root=1-5fd5ea4b-35d888b22f86c62d26beae28`.
fn trace_id() -> String {
    let seconds = millis(SystemTime::now()) / 1000;
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("Root=1-{seconds:08x}-{}", &random[..24])
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

    use serde_json::json;

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
