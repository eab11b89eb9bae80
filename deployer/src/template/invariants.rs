//! What holds for the stack as a whole, whatever its fragments say: each rule is a test over the
//! synthesized document.
//!
//! # Layout
//! * `operations`: the dashboard, the alarms and the logs.
//! * `policies`: who may do what.
//! * `references`: names that are used and names that there are.
//! * `site`: the page with CloudFront and without.

mod operations;
mod policies;
mod references;
mod site;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fragment::{Fragment, parse};
use super::{Document, StageName, TemplateSettings, synthesize};

/// How the logical ids of each type end. A type that is not here is refused, so that whoever adds
/// one decides on its name, and on what the local stack does with it.
const KINDS: [(&str, &str); 22] = [
    ("AWS::ApiGatewayV2::Api", "Api"),
    ("AWS::ApiGatewayV2::Authorizer", "Authorizer"),
    ("AWS::ApiGatewayV2::Integration", "Integration"),
    ("AWS::ApiGatewayV2::Route", "Route"),
    ("AWS::ApiGatewayV2::RouteResponse", "RouteResponse"),
    ("AWS::ApiGatewayV2::Stage", "Stage"),
    ("AWS::CloudFront::Distribution", "Distribution"),
    ("AWS::CloudFront::OriginAccessControl", "AccessControl"),
    ("AWS::CloudFront::ResponseHeadersPolicy", "HeadersPolicy"),
    ("AWS::CloudWatch::Alarm", "Alarm"),
    ("AWS::CloudWatch::Dashboard", "Dashboard"),
    ("AWS::DynamoDB::Table", "Table"),
    ("AWS::IAM::Policy", "Policy"),
    ("AWS::IAM::Role", "Role"),
    ("AWS::Lambda::EventInvokeConfig", "InvokeConfig"),
    ("AWS::Lambda::Function", "Function"),
    ("AWS::Lambda::Permission", "Permission"),
    ("AWS::Logs::LogGroup", "LogGroup"),
    ("AWS::S3::Bucket", "Bucket"),
    ("AWS::S3::BucketPolicy", "BucketPolicy"),
    ("AWS::SNS::Subscription", "Subscription"),
    ("AWS::SNS::Topic", "Topic"),
];

fn document() -> Document {
    let stage: StageName = "dev".parse().unwrap();
    synthesize(&TemplateSettings::embedded(stage)).unwrap()
}

fn section<'a>(document: &'a Document, name: &str) -> &'a Map<String, Value> {
    document.as_value()[name].as_object().unwrap()
}

/// The logical ids and properties of all resources of a type.
fn resources<'a>(document: &'a Document, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    section(document, "Resources")
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
        .collect()
}

/// Calls `visit` for every mapping of the value, the outer ones first.
fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(fields);
            fields.values().for_each(|field| walk(field, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

/// One or many, as policies have it.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// What a value can be, whatever the conditions: both sides of each `Fn::If` at its top.
fn alternatives(value: &Value) -> Vec<&Value> {
    match value["Fn::If"].as_array().map(Vec::as_slice) {
        Some([_, yes, no]) => [alternatives(yes), alternatives(no)].concat(),
        _ => vec![value],
    }
}

/// The names between `${` and `}`; `${!Literal}` is none.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${")
        .skip(1)
        .map(|rest| rest.split('}').next().unwrap())
        .filter(|name| !name.starts_with('!'))
}

#[test]
fn every_output_is_described() {
    for (name, output) in section(&document(), "Outputs") {
        assert!(output["Description"].is_string(), "{name}");
    }
}

#[test]
fn logical_ids_are_pascal_case_and_end_in_their_kind() {
    for (id, resource) in section(&document(), "Resources") {
        let kind = resource["Type"].as_str().unwrap();
        let (_, ending) = KINDS
            .into_iter()
            .find(|(known, _)| *known == kind)
            .unwrap_or_else(|| panic!("`{id}` is a {kind}, which has no entry in KINDS"));
        assert!(id.ends_with(ending), "`{id}` does not end in `{ending}`");
        assert!(
            id.starts_with(|first: char| first.is_ascii_uppercase()),
            "`{id}`"
        );
    }
}

#[test]
fn every_function_has_its_own_role_log_group_and_permission() {
    let document = document();
    let functions = resources(&document, "AWS::Lambda::Function");
    assert_eq!(functions.len(), 4);
    for (id, properties) in &functions {
        let stem = id.strip_suffix("Function").unwrap();
        let (role, group) = (format!("{stem}Role"), format!("{stem}LogGroup"));
        assert_eq!(properties["Handler"], stem.to_lowercase());
        assert_eq!(properties["Role"]["Fn::GetAtt"][0], role.as_str());
        assert_eq!(
            properties["LoggingConfig"]["LogGroup"]["Ref"],
            group.as_str()
        );
        let permission =
            resources(&document, "AWS::Lambda::Permission")[format!("{stem}Permission").as_str()];
        assert_eq!(permission["FunctionName"]["Fn::GetAtt"][0], *id);
    }
    for kind in [
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
        "AWS::Lambda::Permission",
    ] {
        let spare = resources(&document, kind);
        let spare = spare.keys().filter(|id| **id != "AccessLogGroup");
        assert_eq!(spare.count(), functions.len(), "spare {kind}");
    }
}

#[test]
fn replies_of_the_default_route_reach_the_sender() {
    let document = document();
    let route = resources(&document, "AWS::ApiGatewayV2::Route")["DefaultRoute"];
    assert_eq!(route["RouteKey"], "$default");
    assert_eq!(route["RouteResponseSelectionExpression"], "$default");
    let response = resources(&document, "AWS::ApiGatewayV2::RouteResponse")["DefaultRouteResponse"];
    assert_eq!(response["RouteId"]["Ref"], "DefaultRoute");
    assert_eq!(response["RouteResponseKey"], "$default");
}

#[test]
fn route_changes_go_live_by_themselves() {
    let document = document();
    for stage in resources(&document, "AWS::ApiGatewayV2::Stage").values() {
        assert_eq!(stage["AutoDeploy"], true);
    }
    walk(document.as_value(), &mut |fields| {
        assert!(!fields.contains_key("DeploymentId"));
    });
}

#[test]
fn the_first_deployment_finds_every_route() {
    let document = document();
    let waits_for = list(&section(&document, "Resources")["WebSocketStage"]["DependsOn"]);
    for id in resources(&document, "AWS::ApiGatewayV2::Route").keys() {
        // The default route is waited for through its response.
        let waited = waits_for
            .iter()
            .filter_map(|target| target.as_str())
            .any(|target| target == *id || target == format!("{id}Response"));
        assert!(waited, "`WebSocketStage` does not wait for `{id}`");
    }
}

#[test]
fn names_are_left_to_cloudformation_or_hold_stack_and_region() {
    let document = document();
    let fixed = [
        "TableName",
        "BucketName",
        "RoleName",
        "LogGroupName",
        "FunctionName",
    ];
    for (id, resource) in section(&document, "Resources") {
        // Their FunctionName is a reference, not a name.
        let kind = &resource["Type"];
        if *kind == "AWS::Lambda::Permission" || *kind == "AWS::Lambda::EventInvokeConfig" {
            continue;
        }
        let properties = resource["Properties"].as_object().unwrap();
        assert!(
            fixed.iter().all(|name| !properties.contains_key(*name)),
            "{id}"
        );
    }
    let named = [
        (
            "AWS::CloudFront::OriginAccessControl",
            "OriginAccessControlConfig",
        ),
        (
            "AWS::CloudFront::ResponseHeadersPolicy",
            "ResponseHeadersPolicyConfig",
        ),
    ];
    for (kind, config) in named {
        for properties in resources(&document, kind).values() {
            assert_eq!(
                properties[config]["Name"]["Fn::Sub"],
                "${AWS::StackName}-${AWS::Region}"
            );
        }
    }
}

#[test]
fn whatever_holds_data_goes_with_the_stack() {
    let document = document();
    for (id, resource) in section(&document, "Resources") {
        let holds_data = [
            "AWS::DynamoDB::Table",
            "AWS::S3::Bucket",
            "AWS::Logs::LogGroup",
        ];
        if holds_data.iter().any(|kind| resource["Type"] == *kind) {
            assert_eq!(resource["DeletionPolicy"], "Delete", "{id}");
            assert_eq!(resource["UpdateReplacePolicy"], "Delete", "{id}");
        }
    }
}

#[test]
fn the_stage_parameter_states_the_rule_of_stage_names() {
    let document = document();
    let parameter = &section(&document, "Parameters")["StageName"];
    assert_eq!(parameter["MaxLength"], StageName::LENGTH_MAX);
    assert_eq!(
        parameter["AllowedPattern"],
        "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
    );
}

#[test]
fn the_printed_yaml_is_read_back_as_the_same_document() {
    let document = document();
    let text = document.to_yaml();
    let fragment = Fragment {
        file: "printed.yaml",
        text: &text,
    };
    let read = Value::Object(parse(fragment).unwrap());
    assert_eq!(read, *document.as_value());
    assert!(
        !text.contains("Fn::"),
        "every function of the stack has a short form"
    );
}
