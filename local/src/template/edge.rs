//! CloudFront in front of the API: what a distribution's behaviours come to on one machine, where site
//! and socket are at one port anyway. A behaviour that could not work on AWS is refused, so that a
//! template which runs here leads a socket through CloudFront there.

use super::properties::{CacheBehavior, DistributionConfig, Origin};
use super::resolve::{self, Resolver};
use super::{Api, TemplateError};

/// AWS's managed policies (CloudFront's Developer Guide, "Use managed cache policies" and "Use managed
/// origin request policies").
const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
const ALL_VIEWER: &str = "216adef6-5c7f-47e4-b989-5492eafa07d3";
const ALL_VIEWER_EXCEPT_HOST_HEADER: &str = "b689b0a8-53d0-40ab-baf2-68738e2966ac";

/// The hosts of a distribution: CloudFront's own, and its aliases.
pub(super) fn hosts(
    resolver: &Resolver<'_>,
    id: &str,
    config: &DistributionConfig,
) -> Result<Vec<String>, TemplateError> {
    let attribute = serde_json::json!({"Fn::GetAtt": [id, "DomainName"]});
    let own = resolver.text(id, &attribute)?;
    Ok([&[own], config.aliases.as_slice()].concat())
}

/// Whether a distribution leads sockets to the API.
///
/// # Errors
/// [`TemplateError`], if a behaviour leads elsewhere, or would not get a socket there.
pub(super) fn leads_to_api(
    place: &str,
    config: &DistributionConfig,
    api: &Api,
) -> Result<bool, TemplateError> {
    if config
        .default_cache_behavior
        .origin_request_policy_id
        .is_some()
    {
        return Err(TemplateError::unsupported(
            format!("{place}.DefaultCacheBehavior.OriginRequestPolicyId"),
            "files are the same whatever is asked of a bucket",
        ));
    }
    for behavior in &config.cache_behaviors {
        let origin = config
            .origins
            .iter()
            .find(|origin| origin.id == behavior.target_origin_id);
        if let Err((property, why)) = check(behavior, origin, api) {
            return Err(TemplateError::unsupported(
                format!("{place}.CacheBehaviors.{property}"),
                why,
            ));
        }
    }
    Ok(!config.cache_behaviors.is_empty())
}

/// Gives the property that is in the way, and why it is.
fn check(
    behavior: &CacheBehavior,
    origin: Option<&Origin>,
    api: &Api,
) -> Result<(), (&'static str, String)> {
    let wrong = |property, why: &str| Err((property, why.to_owned()));
    let Some(origin) = origin else {
        return wrong("TargetOriginId", "no origin has the target's id");
    };
    if origin.domain_name != resolve::api_host(&api.id) {
        return wrong("TargetOriginId", "only the API can be behind a path here");
    }
    let protocol = origin.custom_origin_config.as_ref();
    if protocol.is_none_or(|it| it.origin_protocol_policy != "https-only") {
        return wrong("TargetOriginId", "API Gateway takes `https-only`");
    }
    let path = format!("/{}", api.stage);
    if behavior.path_pattern.as_deref() != Some(&path) {
        let why = format!("it is passed on as it is, and the API's stage is at `{path}`");
        return Err(("PathPattern", why));
    }
    if behavior.cache_policy_id.as_deref() != Some(CACHING_DISABLED) {
        return wrong("CachePolicyId", "a handshake cannot come from a cache");
    }
    match behavior.origin_request_policy_id.as_deref() {
        Some(ALL_VIEWER_EXCEPT_HOST_HEADER) => {}
        Some(ALL_VIEWER) => {
            let why = "API Gateway knows no other `Host` than its own";
            return wrong("OriginRequestPolicyId", why);
        }
        _ => {
            let why = "a handshake's headers would not get to the API";
            return wrong("OriginRequestPolicyId", why);
        }
    }
    if behavior.response_headers_policy_id.is_some() {
        let why = "the gateway's answers have no more headers than API Gateway's";
        return wrong("ResponseHeadersPolicyId", why);
    }
    Ok(())
}
