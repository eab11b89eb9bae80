//! CloudFront's response headers policy as the HTTP headers that it sends.

use serde_json::Value;

use super::TemplateError;
use super::properties::{HeadersPolicy, SecurityHeaders};

/// Names in lower case, values as CloudFront words them (its Developer Guide, “Understand response
/// headers policies”).
pub(super) fn of(id: &str, policy: HeadersPolicy) -> Result<Vec<(String, String)>, TemplateError> {
    let config = policy.response_headers_policy_config;
    let mut headers = match &config.security_headers_config {
        Some(security) => security_headers(id, security)?,
        None => Vec::new(),
    };
    for item in config
        .custom_headers_config
        .map(|custom| custom.items)
        .unwrap_or_default()
    {
        headers.push((item.header.to_lowercase(), item.value));
    }
    Ok(headers)
}

fn security_headers(
    id: &str,
    security: &SecurityHeaders,
) -> Result<Vec<(String, String)>, TemplateError> {
    let mut headers = Vec::new();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    if let Some(policy) = &security.content_security_policy {
        add(
            "content-security-policy",
            text(id, policy, "ContentSecurityPolicy")?,
        );
    }
    if security.content_type_options.is_some() {
        add("x-content-type-options", "nosniff".to_owned());
    }
    if let Some(options) = &security.frame_options {
        add("x-frame-options", text(id, options, "FrameOption")?);
    }
    if let Some(policy) = &security.referrer_policy {
        add("referrer-policy", text(id, policy, "ReferrerPolicy")?);
    }
    if let Some(transport) = &security.strict_transport_security {
        let mut value = format!("max-age={}", text(id, transport, "AccessControlMaxAgeSec")?);
        if is_true(&transport["IncludeSubdomains"]) {
            value.push_str("; includeSubDomains");
        }
        if is_true(&transport["Preload"]) {
            value.push_str("; preload");
        }
        add("strict-transport-security", value);
    }
    Ok(headers)
}

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true) || value.as_str() == Some("true")
}

fn text(id: &str, section: &Value, property: &str) -> Result<String, TemplateError> {
    match &section[property] {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(TemplateError::unsupported(
            id,
            format!("`{property}` is missing"),
        )),
    }
}
