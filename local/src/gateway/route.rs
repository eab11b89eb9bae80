//! Which route a frame takes: the API's route selection expression over the frame's JSON body.

use serde_json::Value;

/// The route key that the expression finds in the body; `None` where it finds none, which is for
/// `$default`.
///
/// Known are `$request.body.<path>` and `${request.body.<path>}` (AWS's Developer Guide, “WebSocket
/// route selection expressions”). The reserved keys `$connect`, `$disconnect` and `$default` cannot
/// be chosen by a client.
pub(crate) fn key(expression: &str, body: &str) -> Option<String> {
    let inner = expression
        .strip_prefix("${")
        .and_then(|inner| inner.strip_suffix('}'));
    let inner = inner.or_else(|| expression.strip_prefix('$'))?;
    let path = inner.strip_prefix("request.body.")?;
    let body: Value = serde_json::from_str(body).ok()?;
    let mut found = &body;
    for step in path.split('.') {
        found = found.get(step)?;
    }
    let key = match found {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return None,
    };
    (!key.starts_with('$')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn the_expression_finds_the_key_in_the_body() {
        let cases = [
            ("$request.body.action", r#"{"action":"join"}"#, Some("join")),
            (
                "${request.body.action}",
                r#"{"action":"join"}"#,
                Some("join"),
            ),
            ("$request.body.a.b", r#"{"a":{"b":1}}"#, Some("1")),
            ("$request.body.action", r#"{"action":{}}"#, None),
            ("$request.body.action", r#"{"other":"join"}"#, None),
            ("$request.body.action", "hi", None),
            ("$request.body.action", r#"{"action":"$disconnect"}"#, None),
            ("$default", r#"{"action":"join"}"#, None),
        ];
        for (expression, body, expected) in cases {
            assert_eq!(
                key(expression, body).as_deref(),
                expected,
                "{expression} {body}"
            );
        }
    }
}
