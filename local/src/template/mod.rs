//! Reads a CloudFormation template into what the local stack runs: tables, functions, one WebSocket
//! API with its stage, and at most one site. What it does not know it refuses, so that nothing of a
//! template is silently left out here.
//!
//! # Layout
//!
//! - `mod.rs`: the model, and reading it.
//! - `shape.rs`: whether each entry is what CloudFormation takes.
//! - `references.rs`: whether each name is of something, and nothing waits for itself.
//! - `resolve.rs`: `Ref`, `Fn::GetAtt`, `Fn::Sub` and the like.
//! - `authorizer.rs`: who is asked whether a connection may open.
//! - `properties.rs`: the resource types, property by property.
//! - `headers.rs`: CloudFront's headers policy as HTTP headers.
//! - `edge.rs`: CloudFront in front of the API.
//! - `error.rs`: why a template does not run here.

mod authorizer;
mod edge;
mod error;
mod headers;
mod properties;
mod references;
mod resolve;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use authorizer::{Authorizer, IdentitySource};
pub use error::TemplateError;
use resolve::Resolver;
pub use resolve::{ACCOUNT_ID, REGION};

/// What the local stack runs.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its tables.
    pub tables: Vec<Table>,
    /// Its functions, by logical id.
    pub functions: BTreeMap<String, Function>,
    /// Its WebSocket API.
    pub api: Api,
    /// Its site.
    pub site: Option<Site>,
    /// Its outputs' values.
    pub outputs: BTreeMap<String, String>,
    /// The values that differ from the cloud's.
    pub overrides: Vec<Override>,
}

/// A DynamoDB table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its physical name.
    pub name: String,
    /// The `CreateTable` request.
    pub request: Value,
    /// The attribute that holds an item's expiry.
    pub ttl_attribute: Option<String>,
}

/// A Lambda function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its physical name.
    pub name: String,
    /// `_HANDLER`.
    pub handler: String,
    /// Its own variables.
    pub environment: BTreeMap<String, String>,
    /// How long an invocation may take. Default 3 s, as AWS's.
    pub timeout: Duration,
    /// Default 128 MB, as AWS's.
    pub memory_mb: u64,
    /// Concurrent invocations at most, if it says so.
    pub reserved_concurrency: Option<usize>,
    /// What becomes of asynchronous invocations.
    pub events: Events,
}

/// Asynchronous invocations (AWS's Developer Guide, “How Lambda handles errors and retries with
/// asynchronous invocation”).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// Further attempts where the function fails. Default 2, also the most.
    pub retries: usize,
    /// Older ones are thrown away. Default 6 h, also the most.
    pub age_max: Duration,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            retries: 2,
            age_max: Duration::from_hours(6),
        }
    }
}

/// A WebSocket API with its one stage.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its physical id.
    pub id: String,
    /// The first path segment of its URL.
    pub stage: String,
    /// How a frame's route key is found.
    pub route_selection_expression: String,
    /// Its routes by key.
    pub routes: BTreeMap<String, Route>,
    /// Its throttle.
    pub throttle: Throttle,
}

/// A route to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who is asked first; only `$connect` can have one.
    pub authorizer: Option<Authorizer>,
    /// The function's logical id.
    pub function: String,
    /// Whether what the function returns goes back to the client: the route has a response selection
    /// expression and a route response.
    pub replies: bool,
    /// How long API Gateway waits for the function. Default 29 s, also the most (AWS's quota page,
    /// “Integration timeout”).
    pub timeout: Duration,
}

/// A token bucket over all frames and connects of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// Tokens a second.
    pub rate: f64,
    /// Tokens at most.
    pub burst: u32,
}

impl Default for Throttle {
    /// An account's own limits (AWS's quota page, “Throttle quota per account per Region”).
    fn default() -> Self {
        Self {
            rate: 10_000.0,
            burst: 5_000,
        }
    }
}

/// Files served as CloudFront does from a bucket.
#[derive(Clone, Debug)]
pub struct Site {
    /// What `/` is.
    pub default_root_object: Option<String>,
    /// Headers added to every response.
    pub headers: Vec<(String, String)>,
    /// The hosts that AWS would serve it at.
    pub hosts: Vec<String>,
    /// Whether the socket is to be had at these hosts as well.
    pub leads_to_api: bool,
}

/// A value that differs from the cloud's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Logical id and property, or output.
    pub place: String,
    /// What it would be on AWS.
    pub cloud: String,
    /// What it is here.
    pub local: String,
}

/// What a template is read with.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The stack's name, from which physical names are made.
    pub stack_name: &'a str,
    /// Values of parameters.
    pub parameters: &'a BTreeMap<String, String>,
    /// `host:port` that takes the place of the API's host.
    pub authority: &'a str,
}

/// Whether CloudFormation could make something of a template, in its JSON form with functions in their long
/// form, whatever runs here: each entry is what those of its section are, each name is of something, and nothing
/// waits for itself.
///
/// # Errors
/// [`TemplateError::Malformed`], [`TemplateError::Dangling`], [`TemplateError::UnknownCondition`] or
/// [`TemplateError::Circular`].
pub fn check(document: &Value) -> Result<(), TemplateError> {
    shape::check(document)?;
    references::check(document)
}

impl Template {
    /// Reads a template in its JSON form, with intrinsic functions in their long form.
    ///
    /// # Errors
    /// [`TemplateError`] names the place that does not run here.
    pub fn read(document: &Value, context: &Context<'_>) -> Result<Self, TemplateError> {
        const SECTIONS: [&str; 7] = [
            "AWSTemplateFormatVersion",
            "Conditions",
            "Description",
            "Metadata",
            "Outputs",
            "Parameters",
            "Resources",
        ];
        let empty = Map::new();
        let sections = document.as_object().unwrap_or(&empty);
        if let Some(section) = sections
            .keys()
            .find(|key| !SECTIONS.contains(&key.as_str()))
        {
            return Err(TemplateError::UnknownSection {
                section: section.clone(),
            });
        }
        references::check_conditions(document)?;
        let resources = document["Resources"].as_object().unwrap_or(&empty);
        let resolver = Resolver::new(document, resources, context.stack_name, context.parameters);
        let mut reader = Reader::default();
        for (id, declaration) in resources {
            reader.resource(&resolver, id, declaration)?;
        }
        let mut template = reader.finish(&resolver)?;
        for (name, output) in document["Outputs"].as_object().unwrap_or(&empty) {
            if resolver.is_present(name, output)? {
                let value = resolver.text(&format!("Outputs.{name}"), &output["Value"])?;
                template.outputs.insert(name.clone(), value);
            }
        }
        template.apply_overrides(context.authority);
        Ok(template)
    }

    /// Puts this machine's address where the template speaks of the API's, and remembers where.
    fn apply_overrides(&mut self, authority: &str) {
        let api = resolve::api_host(&self.api.id);
        let mut here = vec![
            (format!("wss://{api}"), format!("ws://{authority}")),
            (format!("https://{api}"), format!("http://{authority}")),
        ];
        if let Some(site) = &self.site {
            for host in &site.hosts {
                here.push((format!("https://{host}"), format!("http://{authority}")));
                if site.leads_to_api {
                    here.push((format!("wss://{host}"), format!("ws://{authority}")));
                }
            }
        }
        let mut overrides = Vec::new();
        let mut replace = |place: String, value: &mut String| {
            let mut local = value.clone();
            for (cloud, here) in &here {
                local = local.replace(cloud, here);
            }
            if local != *value {
                let cloud = std::mem::replace(value, local.clone());
                overrides.push(Override {
                    place,
                    cloud,
                    local,
                });
            }
        };
        for (id, function) in &mut self.functions {
            for (name, value) in &mut function.environment {
                replace(format!("{id}.Environment.{name}"), value);
            }
        }
        for (name, value) in self.site.iter_mut().flat_map(|site| &mut site.headers) {
            replace(format!("headers.{name}"), value);
        }
        for (name, value) in &mut self.outputs {
            replace(format!("Outputs.{name}"), value);
        }
        self.overrides = overrides;
    }
}

/// The resources as they are declared, before they are put together.
#[derive(Default)]
struct Reader {
    tables: Vec<Table>,
    functions: BTreeMap<String, Function>,
    event_configs: Vec<(String, properties::EventInvokeConfig)>,
    apis: Vec<(String, properties::Api)>,
    stages: Vec<(String, properties::Stage)>,
    routes: Vec<(String, properties::Route)>,
    route_responses: Vec<properties::RouteResponse>,
    integrations: BTreeMap<String, properties::Integration>,
    authorizers: BTreeMap<String, properties::Authorizer>,
    buckets: Vec<String>,
    distributions: Vec<(String, properties::Distribution)>,
    headers: BTreeMap<String, Vec<(String, String)>>,
}

impl Reader {
    fn resource(
        &mut self,
        resolver: &Resolver<'_>,
        id: &str,
        declaration: &Value,
    ) -> Result<(), TemplateError> {
        const ATTRIBUTES: [&str; 7] = [
            "Condition",
            "DeletionPolicy",
            "DependsOn",
            "Metadata",
            "Properties",
            "Type",
            "UpdateReplacePolicy",
        ];
        let attributes = declaration.as_object().into_iter().flat_map(Map::keys);
        if let Some(unknown) = attributes
            .into_iter()
            .find(|key| !ATTRIBUTES.contains(&key.as_str()))
        {
            return Err(TemplateError::unsupported(
                id,
                format!("the attribute `{unknown}` is not known here"),
            ));
        }
        if !resolver.is_present(id, declaration)? {
            return Ok(());
        }
        let kind = declaration["Type"].as_str().unwrap_or_default();
        if properties::WITHOUT_LOCAL_MEANING.contains(&kind) {
            return Ok(());
        }
        let given = resolver.resolve(id, declaration.get("Properties").unwrap_or(&Value::Null))?;
        let given = given
            .filter(|given| !given.is_null())
            .unwrap_or_else(|| Map::new().into());
        match kind {
            "AWS::DynamoDB::Table" => {
                let physical_id = resolver.physical_id(id);
                self.tables.push(table(physical_id, typed(id, given)?));
            }
            "AWS::Lambda::Function" => {
                let physical_id = resolver.physical_id(id);
                self.functions
                    .insert(id.to_owned(), function(physical_id, id, typed(id, given)?)?);
            }
            "AWS::Lambda::EventInvokeConfig" => {
                self.event_configs.push((id.to_owned(), typed(id, given)?));
            }
            "AWS::ApiGatewayV2::Api" => self.apis.push((id.to_owned(), typed(id, given)?)),
            "AWS::ApiGatewayV2::Stage" => self.stages.push((id.to_owned(), typed(id, given)?)),
            "AWS::ApiGatewayV2::Route" => self.routes.push((id.to_owned(), typed(id, given)?)),
            "AWS::ApiGatewayV2::RouteResponse" => self.route_responses.push(typed(id, given)?),
            "AWS::ApiGatewayV2::Integration" => {
                self.integrations.insert(id.to_owned(), typed(id, given)?);
            }
            "AWS::ApiGatewayV2::Authorizer" => {
                self.authorizers.insert(id.to_owned(), typed(id, given)?);
            }
            "AWS::S3::Bucket" => {
                typed::<properties::Bucket>(id, given)?;
                self.buckets.push(id.to_owned());
            }
            "AWS::CloudFront::Distribution" => {
                self.distributions.push((id.to_owned(), typed(id, given)?));
            }
            "AWS::CloudFront::ResponseHeadersPolicy" => {
                let headers = headers::of(id, typed(id, given)?)?;
                self.headers.insert(resolver.physical_id(id), headers);
            }
            unknown => {
                return Err(TemplateError::UnknownType {
                    resource: id.to_owned(),
                    kind: unknown.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn finish(mut self, resolver: &Resolver<'_>) -> Result<Template, TemplateError> {
        for (id, config) in std::mem::take(&mut self.event_configs) {
            let events = events(&id, &config)?;
            let named = |it: &&mut Function| it.name == config.function_name;
            let function = self.functions.values_mut().find(named);
            function
                .ok_or_else(|| TemplateError::Dangling {
                    place: format!("{id}.FunctionName"),
                    target: config.function_name.clone(),
                })?
                .events = events;
        }
        let api = self.api(resolver)?;
        let site = self.site(resolver, &api)?;
        let leads_to = |route: &Route, id: &String| {
            let authorizer = route.authorizer.as_ref();
            route.function == *id || authorizer.is_some_and(|it| it.function == *id)
        };
        let routed = |id: &String| api.routes.values().any(|route| leads_to(route, id));
        if let Some(function) = self.functions.keys().find(|id| !routed(id)) {
            return Err(TemplateError::Unrouted {
                function: function.clone(),
            });
        }
        Ok(Template {
            tables: self.tables,
            functions: self.functions,
            api,
            site,
            outputs: BTreeMap::new(),
            overrides: Vec::new(),
        })
    }

    fn api(&self, resolver: &Resolver<'_>) -> Result<Api, TemplateError> {
        let (api_id, api) = exactly_one("AWS::ApiGatewayV2::Api", &self.apis)?;
        if api.protocol_type != "WEBSOCKET" {
            return Err(TemplateError::unsupported(
                format!("{api_id}.ProtocolType"),
                "only `WEBSOCKET` runs here",
            ));
        }
        let (stage_id, stage) = exactly_one("AWS::ApiGatewayV2::Stage", &self.stages)?;
        if stage.auto_deploy != Some(true) {
            return Err(TemplateError::unsupported(
                format!("{stage_id}.AutoDeploy"),
                "it has to be true; without it a changed route never goes live",
            ));
        }
        let mut routes = BTreeMap::new();
        for (id, route) in &self.routes {
            let (key, route) = self.route(resolver, id, route)?;
            if routes.insert(key.clone(), route).is_some() {
                return Err(TemplateError::unsupported(
                    format!("{id}.RouteKey"),
                    format!("another route has the key `{key}` already"),
                ));
            }
        }
        let default = Throttle::default();
        let settings = stage.default_route_settings.as_ref();
        Ok(Api {
            id: resolver.physical_id(api_id),
            stage: stage.stage_name.clone(),
            route_selection_expression: api.route_selection_expression.clone(),
            routes,
            throttle: Throttle {
                rate: settings
                    .and_then(|it| it.throttling_rate_limit)
                    .unwrap_or(default.rate),
                burst: settings
                    .and_then(|it| it.throttling_burst_limit)
                    .unwrap_or(default.burst),
            },
        })
    }

    fn route(
        &self,
        resolver: &Resolver<'_>,
        id: &str,
        route: &properties::Route,
    ) -> Result<(String, Route), TemplateError> {
        let authorizer = self.authorizer(resolver, id, route)?;
        let target = route
            .target
            .strip_prefix("integrations/")
            .unwrap_or(&route.target);
        let dangling = |target: &str| TemplateError::Dangling {
            place: format!("{id}.Target"),
            target: target.to_owned(),
        };
        let integration = self
            .integrations
            .get(target)
            .ok_or_else(|| dangling(&route.target))?;
        if integration.integration_type != "AWS_PROXY" {
            return Err(TemplateError::unsupported(
                format!("{target}.IntegrationType"),
                "only `AWS_PROXY` runs here",
            ));
        }
        // Without a word of it, messages are passed through as text.
        if let Some(strategy) = &integration.content_handling_strategy
            && strategy != "CONVERT_TO_TEXT"
        {
            return Err(TemplateError::unsupported(
                format!("{target}.ContentHandlingStrategy"),
                format!("`{strategy}` does not run here"),
            ));
        }
        let function = self.invoked_by(resolver, &integration.integration_uri);
        let has_response = self
            .route_responses
            .iter()
            .any(|response| response.route_id == id && response.route_response_key == "$default");
        let selects = route.route_response_selection_expression.as_deref() == Some("$default");
        let timeout = integration
            .timeout_in_millis
            .map_or(INTEGRATION_TIMEOUT_MAX, Duration::from_millis);
        Ok((
            route.route_key.clone(),
            Route {
                authorizer,
                function: function
                    .ok_or_else(|| dangling(&integration.integration_uri))?
                    .clone(),
                replies: has_response && selects,
                timeout: timeout.min(INTEGRATION_TIMEOUT_MAX),
            },
        ))
    }

    /// The function that a URI of API Gateway's leads to.
    fn invoked_by(&self, resolver: &Resolver<'_>, uri: &str) -> Option<&String> {
        let invokes = |function: &str| {
            let arn = format!(":function:{}", resolver.physical_id(function));
            uri.split('/').any(|segment| segment.ends_with(&arn))
        };
        self.functions.keys().find(|function| invokes(function))
    }

    fn site(&self, resolver: &Resolver<'_>, api: &Api) -> Result<Option<Site>, TemplateError> {
        let (id, distribution) = match self.distributions.as_slice() {
            [] => match self.buckets.first() {
                None => return Ok(None),
                Some(bucket) => {
                    return Err(TemplateError::unsupported(
                        bucket,
                        "no distribution serves it, and the local stack has no S3 of its own",
                    ));
                }
            },
            distributions => exactly_one("AWS::CloudFront::Distribution", distributions)?,
        };
        let config = &distribution.distribution_config;
        let place = format!("{id}.DistributionConfig");
        let origin = config
            .origins
            .iter()
            .find(|origin| origin.id == config.default_cache_behavior.target_origin_id)
            .ok_or_else(|| TemplateError::unsupported(&place, "no origin has the target's id"))?;
        for bucket in &self.buckets {
            if !origin
                .domain_name
                .starts_with(&format!("{}.s3.", resolver.physical_id(bucket)))
            {
                return Err(TemplateError::unsupported(
                    &place,
                    format!("it does not serve `{bucket}`"),
                ));
            }
        }
        let headers = match &config.default_cache_behavior.response_headers_policy_id {
            None => Vec::new(),
            Some(policy) => {
                self.headers
                    .get(policy)
                    .cloned()
                    .ok_or_else(|| TemplateError::Dangling {
                        place: place.clone(),
                        target: policy.clone(),
                    })?
            }
        };
        Ok(Some(Site {
            default_root_object: config.default_root_object.clone(),
            headers,
            hosts: edge::hosts(resolver, id, config)?,
            leads_to_api: edge::leads_to_api(&place, config, api)?,
        }))
    }
}

/// AWS's quota page for WebSocket APIs, “Integration timeout”.
const INTEGRATION_TIMEOUT_MAX: Duration = Duration::from_secs(29);

/// The least that Lambda takes as the greatest age of an asynchronous invocation.
const EVENT_AGE_MIN: Duration = Duration::from_mins(1);

fn exactly_one<'a, T>(
    kind: &'static str,
    found: &'a [(String, T)],
) -> Result<(&'a str, &'a T), TemplateError> {
    match found {
        [(id, one)] => Ok((id, one)),
        several => Err(TemplateError::NotExactlyOne {
            kind,
            found: several.len(),
        }),
    }
}

fn typed<T: DeserializeOwned>(id: &str, properties: Value) -> Result<T, TemplateError> {
    serde_json::from_value(properties).map_err(|error| TemplateError::unsupported(id, error))
}

fn events(id: &str, config: &properties::EventInvokeConfig) -> Result<Events, TemplateError> {
    let default = Events::default();
    let wrong = |property: &str, value: String| {
        let problem = format!("`{value}` does not run here, or not on AWS");
        TemplateError::unsupported(format!("{id}.{property}"), problem)
    };
    if config.qualifier != "$LATEST" {
        return Err(wrong("Qualifier", config.qualifier.clone()));
    }
    let retries = config.maximum_retry_attempts.unwrap_or(default.retries);
    if retries > default.retries {
        return Err(wrong("MaximumRetryAttempts", retries.to_string()));
    }
    let age = config.maximum_event_age_in_seconds;
    let age_max = age.map_or(default.age_max, Duration::from_secs);
    if !(EVENT_AGE_MIN..=default.age_max).contains(&age_max) {
        return Err(wrong(
            "MaximumEventAgeInSeconds",
            age_max.as_secs().to_string(),
        ));
    }
    Ok(Events { retries, age_max })
}

fn table(physical_id: String, properties: properties::Table) -> Table {
    let name = properties.table_name.unwrap_or(physical_id);
    let mut request = serde_json::json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": properties.key_schema,
        "AttributeDefinitions": properties.attribute_definitions,
    });
    for (key, indexes) in [
        (
            "GlobalSecondaryIndexes",
            properties.global_secondary_indexes,
        ),
        ("LocalSecondaryIndexes", properties.local_secondary_indexes),
    ] {
        if let Some(indexes) = indexes {
            request[key] = indexes;
        }
    }
    let ttl = properties
        .time_to_live_specification
        .filter(|ttl| ttl.enabled);
    Table {
        name,
        request,
        ttl_attribute: ttl.map(|ttl| ttl.attribute_name),
    }
}

fn function(
    physical_id: String,
    id: &str,
    properties: properties::Function,
) -> Result<Function, TemplateError> {
    let mut environment = BTreeMap::new();
    for (name, value) in properties
        .environment
        .map(|it| it.variables)
        .unwrap_or_default()
    {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => {
                let place = format!("{id}.Environment.{name}");
                return Err(TemplateError::unsupported(place, "it has to be a string"));
            }
        };
        environment.insert(name, value);
    }
    Ok(Function {
        name: properties.function_name.unwrap_or(physical_id),
        handler: properties.handler.unwrap_or_default(),
        environment,
        timeout: Duration::from_secs(properties.timeout.unwrap_or(3)),
        memory_mb: properties.memory_size.unwrap_or(128),
        reserved_concurrency: properties.reserved_concurrent_executions,
        events: Events::default(),
    })
}
