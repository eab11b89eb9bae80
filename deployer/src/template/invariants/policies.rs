//! Who may do what: the least that is needed.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{alternatives, document, list, resources, section, variables, walk};
use crate::template::Document;

/// The only resources of policies that may hold a `*`, without the ARN's common beginning.
const WILDCARD_RESOURCES: [&str; 3] = [
    // Which object or connection it will be is known only when it is there.
    "${SiteBucket.Arn}/*",
    "${WebSocketApi}/${StageName}/POST/@connections/*",
    "${WebSocketApi}/${StageName}/GET/@connections/*",
];

#[test]
fn policies_name_their_actions_and_resources() {
    let document = document();
    let statements = statements(&document);
    assert!(statements.len() >= 10);
    for (id, statement) in statements {
        // A denial is the stronger the more it covers.
        if statement["Effect"] == "Deny" {
            continue;
        }
        assert!(
            !statement.contains_key("NotAction") && !statement.contains_key("NotResource"),
            "{id}"
        );
        for action in list(&statement["Action"]) {
            let action = action.as_str().unwrap();
            assert!(!action.contains('*'), "`{id}` allows `{action}`");
            assert_ne!(
                action, "dynamodb:Scan",
                "`{id}` may read the table as a whole"
            );
        }
        for resource in statement.get("Resource").map(list).unwrap_or_default() {
            assert!(
                is_named(resource),
                "`{id}` allows something on `{resource}`"
            );
        }
    }
}

/// Whether a policy's resource is an attribute of one of ours or one of the known patterns.
fn is_named(resource: &Value) -> bool {
    match resource["Fn::Sub"].as_str() {
        Some(text) => WILDCARD_RESOURCES
            .iter()
            .any(|pattern| text.ends_with(pattern) && text.matches('*').count() == 1),
        None => resource["Fn::GetAtt"][1] == "Arn",
    }
}

#[test]
fn each_route_may_invoke_only_the_function_that_it_leads_to() {
    let document = document();
    let text = |value: &Value| value["Fn::Sub"].as_str().unwrap().to_owned();
    let integrations = resources(&document, "AWS::ApiGatewayV2::Integration");
    let mut allowed: BTreeSet<(String, String)> = BTreeSet::new();
    for permission in resources(&document, "AWS::Lambda::Permission").values() {
        assert_eq!(permission["Action"], "lambda:InvokeFunction");
        assert_eq!(permission["Principal"], "apigateway.amazonaws.com");
        let function = permission["FunctionName"]["Fn::GetAtt"][0]
            .as_str()
            .unwrap();
        allowed.insert((text(&permission["SourceArn"]), function.to_owned()));
    }
    let mut needed = BTreeSet::new();
    for route in resources(&document, "AWS::ApiGatewayV2::Route").values() {
        let target = text(&route["Target"]);
        let uri = text(&integrations[variables(&target).next().unwrap()]["IntegrationUri"]);
        let function = variables(&uri)
            .find_map(|name| name.strip_suffix(".Arn"))
            .unwrap();
        let source = format!(
            "arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{WebSocketApi}}/*/{}",
            route["RouteKey"].as_str().unwrap()
        );
        needed.insert((source, function.to_owned()));
    }
    let mut authorizers = BTreeSet::new();
    for (id, authorizer) in resources(&document, "AWS::ApiGatewayV2::Authorizer") {
        let uri = text(&authorizer["AuthorizerUri"]);
        let function = variables(&uri)
            .find_map(|name| name.strip_suffix(".Arn"))
            .unwrap();
        let source = format!(
            "arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{WebSocketApi}}/authorizers/${{{id}}}"
        );
        authorizers.insert((source, function.to_owned()));
    }
    assert_eq!(authorizers.len(), 1);
    needed.append(&mut authorizers);
    assert_eq!(allowed, needed);
}

/// Every statement of every policy, with the logical id of its resource.
fn statements(document: &Document) -> Vec<(&str, &Map<String, Value>)> {
    let mut found = Vec::new();
    for (id, resource) in section(document, "Resources") {
        walk(resource, &mut |fields| {
            if let Some(statement) = fields.get("Statement") {
                let statements = alternatives(statement).into_iter().flat_map(list);
                found.extend(statements.map(|it| (id.as_str(), it)));
            }
        });
    }
    found
        .into_iter()
        .map(|(id, statement)| (id, statement.as_object().unwrap()))
        .collect()
}
