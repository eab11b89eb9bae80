//! The resource types that run here, property by property. A property that is not listed is refused;
//! one that is listed as [`Ignored`] has no meaning on one machine.

#![expect(
    clippy::struct_field_names,
    reason = "the fields have CloudFormation's names"
)]

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A property that changes nothing on one machine.
pub(super) type Ignored = serde::de::IgnoredAny;

/// Resource types whose properties have no meaning on one machine at all: who may do what, where logs
/// go, and who looks at them.
pub(super) const WITHOUT_LOCAL_MEANING: [&str; 10] = [
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
];

/// `AWS::DynamoDB::Table`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Table {
    pub(super) table_name: Option<String>,
    pub(super) key_schema: Value,
    pub(super) attribute_definitions: Value,
    pub(super) global_secondary_indexes: Option<Value>,
    pub(super) local_secondary_indexes: Option<Value>,
    pub(super) time_to_live_specification: Option<TimeToLive>,
    #[serde(rename = "BillingMode")]
    _billing_mode: Option<Ignored>,
    #[serde(rename = "PointInTimeRecoverySpecification")]
    _recovery: Option<Ignored>,
    #[serde(rename = "SSESpecification")]
    _encryption: Option<Ignored>,
    #[serde(rename = "DeletionProtectionEnabled")]
    _deletion_protection: Option<Ignored>,
    #[serde(rename = "Tags")]
    _tags: Option<Ignored>,
}

/// A table's TTL.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TimeToLive {
    pub(super) attribute_name: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) enabled: bool,
}

/// `AWS::Lambda::Function`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Function {
    pub(super) function_name: Option<String>,
    pub(super) handler: Option<String>,
    pub(super) environment: Option<Environment>,
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) timeout: Option<u64>,
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) memory_size: Option<u64>,
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) reserved_concurrent_executions: Option<usize>,
    #[serde(rename = "Runtime")]
    _runtime: Option<Ignored>,
    #[serde(rename = "Architectures")]
    _architectures: Option<Ignored>,
    #[serde(rename = "Code")]
    _code: Option<Ignored>,
    #[serde(rename = "Description")]
    _description: Option<Ignored>,
    #[serde(rename = "LoggingConfig")]
    _logging: Option<Ignored>,
    #[serde(rename = "Role")]
    _role: Option<Ignored>,
    #[serde(rename = "Tags")]
    _tags: Option<Ignored>,
}

/// A function's environment.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Environment {
    #[serde(default)]
    pub(super) variables: BTreeMap<String, Value>,
}

/// `AWS::Lambda::EventInvokeConfig`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct EventInvokeConfig {
    pub(super) function_name: String,
    pub(super) qualifier: String,
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) maximum_retry_attempts: Option<usize>,
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) maximum_event_age_in_seconds: Option<u64>,
}

/// `AWS::ApiGatewayV2::Api`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Api {
    pub(super) protocol_type: String,
    pub(super) route_selection_expression: String,
    #[serde(rename = "Name")]
    _name: Option<Ignored>,
    #[serde(rename = "Description")]
    _description: Option<Ignored>,
    #[serde(rename = "Tags")]
    _tags: Option<Ignored>,
}

/// `AWS::ApiGatewayV2::Route`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Route {
    pub(super) route_key: String,
    pub(super) target: String,
    pub(super) route_response_selection_expression: Option<String>,
    #[serde(default)]
    pub(super) authorization_type: Option<String>,
    pub(super) authorizer_id: Option<String>,
    #[serde(rename = "ApiId")]
    _api_id: Ignored,
    #[serde(rename = "OperationName")]
    _operation_name: Option<Ignored>,
}

/// `AWS::ApiGatewayV2::RouteResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RouteResponse {
    pub(super) route_id: String,
    pub(super) route_response_key: String,
    #[serde(rename = "ApiId")]
    _api_id: Ignored,
}

/// `AWS::ApiGatewayV2::Authorizer`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Authorizer {
    pub(super) authorizer_type: String,
    pub(super) authorizer_uri: String,
    #[serde(default)]
    pub(super) identity_source: Vec<String>,
    #[serde(rename = "ApiId")]
    _api_id: Ignored,
    #[serde(rename = "Name")]
    _name: Ignored,
}

/// `AWS::ApiGatewayV2::Integration`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Integration {
    pub(super) integration_type: String,
    pub(super) integration_uri: String,
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) timeout_in_millis: Option<u64>,
    pub(super) content_handling_strategy: Option<String>,
    #[serde(rename = "ApiId")]
    _api_id: Ignored,
    // For an `AWS_PROXY` integration API Gateway always sends POST and the whole event.
    #[serde(rename = "IntegrationMethod")]
    _integration_method: Option<Ignored>,
    #[serde(rename = "Description")]
    _description: Option<Ignored>,
}

/// `AWS::ApiGatewayV2::Stage`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Stage {
    pub(super) stage_name: String,
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) auto_deploy: Option<bool>,
    pub(super) default_route_settings: Option<RouteSettings>,
    #[serde(rename = "AccessLogSettings")]
    _access_logs: Option<Ignored>,
    #[serde(rename = "ApiId")]
    _api_id: Ignored,
    #[serde(rename = "Description")]
    _description: Option<Ignored>,
    #[serde(rename = "Tags")]
    _tags: Option<Ignored>,
}

/// A stage's throttle.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RouteSettings {
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) throttling_rate_limit: Option<f64>,
    #[serde(default, deserialize_with = "lenient_option")]
    pub(super) throttling_burst_limit: Option<u32>,
}

/// `AWS::S3::Bucket`, of which only the objects are known here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Bucket {
    #[serde(rename = "BucketEncryption")]
    _encryption: Option<Ignored>,
    #[serde(rename = "OwnershipControls")]
    _ownership: Option<Ignored>,
    #[serde(rename = "PublicAccessBlockConfiguration")]
    _public_access: Option<Ignored>,
    #[serde(rename = "LifecycleConfiguration")]
    _lifecycle: Option<Ignored>,
    #[serde(rename = "Tags")]
    _tags: Option<Ignored>,
}

/// `AWS::CloudFront::Distribution`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Distribution {
    pub(super) distribution_config: DistributionConfig,
    #[serde(rename = "Tags")]
    _tags: Option<Ignored>,
}

/// What a distribution serves.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DistributionConfig {
    pub(super) origins: Vec<Origin>,
    pub(super) default_root_object: Option<String>,
    pub(super) default_cache_behavior: CacheBehavior,
    #[serde(default)]
    pub(super) cache_behaviors: Vec<CacheBehavior>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(rename = "Enabled")]
    _enabled: Option<Ignored>,
    #[serde(rename = "Comment")]
    _comment: Option<Ignored>,
    #[serde(rename = "HttpVersion")]
    _http_version: Option<Ignored>,
    #[serde(rename = "IPV6Enabled")]
    _ipv6: Option<Ignored>,
    #[serde(rename = "PriceClass")]
    _price_class: Option<Ignored>,
    #[serde(rename = "ViewerCertificate")]
    _certificate: Option<Ignored>,
}

/// Where a distribution gets its content.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Origin {
    pub(super) id: String,
    pub(super) domain_name: String,
    pub(super) custom_origin_config: Option<CustomOrigin>,
    #[serde(rename = "OriginAccessControlId")]
    _access_control: Option<Ignored>,
    #[serde(rename = "S3OriginConfig")]
    _s3: Option<Ignored>,
}

/// How an origin that is no bucket is spoken to.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CustomOrigin {
    pub(super) origin_protocol_policy: String,
    #[serde(rename = "OriginSSLProtocols")]
    _tls_versions: Option<Ignored>,
}

/// How a distribution serves it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CacheBehavior {
    pub(super) target_origin_id: String,
    pub(super) path_pattern: Option<String>,
    pub(super) cache_policy_id: Option<String>,
    pub(super) origin_request_policy_id: Option<String>,
    pub(super) response_headers_policy_id: Option<String>,
    #[serde(rename = "AllowedMethods")]
    _allowed_methods: Option<Ignored>,
    #[serde(rename = "CachedMethods")]
    _cached_methods: Option<Ignored>,
    #[serde(rename = "Compress")]
    _compress: Option<Ignored>,
    #[serde(rename = "ViewerProtocolPolicy")]
    _viewer_protocol: Option<Ignored>,
}

/// `AWS::CloudFront::ResponseHeadersPolicy`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct HeadersPolicy {
    pub(super) response_headers_policy_config: HeadersPolicyConfig,
}

/// The headers that a distribution adds.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct HeadersPolicyConfig {
    pub(super) security_headers_config: Option<SecurityHeaders>,
    pub(super) custom_headers_config: Option<CustomHeaders>,
    #[serde(rename = "Name")]
    _name: Option<Ignored>,
    #[serde(rename = "Comment")]
    _comment: Option<Ignored>,
}

/// CloudFront's own names for some headers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SecurityHeaders {
    pub(super) content_security_policy: Option<Value>,
    pub(super) content_type_options: Option<Value>,
    pub(super) frame_options: Option<Value>,
    pub(super) referrer_policy: Option<Value>,
    pub(super) strict_transport_security: Option<Value>,
}

/// Headers by name.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CustomHeaders {
    #[serde(default)]
    pub(super) items: Vec<CustomHeader>,
}

/// One of them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CustomHeader {
    pub(super) header: String,
    pub(super) value: String,
    #[serde(rename = "Override")]
    _override: Option<Ignored>,
}

/// CloudFormation takes numbers and booleans as strings as well.
fn lenient<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let kind = std::any::type_name::<T>();
    text.parse()
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is no {kind}")))
}

fn lenient_option<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    lenient(deserializer).map(Some)
}
