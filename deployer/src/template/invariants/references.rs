//! Every name that the document uses is one that it has.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{document, list, section, variables, walk};
use crate::template::Document;

/// What CloudFormation itself defines.
const PSEUDO_PARAMETERS: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

#[test]
fn every_reference_resolves() {
    let document = document();
    let known: BTreeSet<&str> = section(&document, "Parameters")
        .keys()
        .chain(section(&document, "Resources").keys())
        .map(String::as_str)
        .chain(PSEUDO_PARAMETERS)
        .collect();
    let used = references(&document);
    assert!(used.contains("ActionFunction") && used.contains("AWS::Region"));
    let dangling: Vec<_> = used.difference(&known).collect();
    assert!(dangling.is_empty(), "{dangling:?}");
}

#[test]
fn every_parameter_is_used_and_described() {
    let document = document();
    let used = references(&document);
    for (name, parameter) in section(&document, "Parameters") {
        assert!(used.contains(name.as_str()), "{name}");
        assert!(parameter["Description"].is_string(), "{name}");
    }
}

#[test]
fn every_condition_is_declared_and_used() {
    let document = document();
    let mut used = BTreeSet::new();
    walk(document.as_value(), &mut |fields| {
        // A policy has a field of that name, too, which is a mapping.
        used.extend(fields.get("Condition").and_then(Value::as_str));
        used.extend(fields.get("Fn::If").and_then(|it| it[0].as_str()));
    });
    let declared = section(&document, "Conditions").keys();
    assert_eq!(used, declared.map(String::as_str).collect());
}

/// Every name of a parameter or resource that the document uses.
fn references(document: &Document) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    walk(document.as_value(), &mut |fields| {
        found.extend(fields.get("Ref").and_then(Value::as_str));
        found.extend(
            fields
                .get("Fn::GetAtt")
                .and_then(|attribute| attribute[0].as_str()),
        );
        for target in fields.get("DependsOn").map(list).unwrap_or_default() {
            found.extend(target.as_str());
        }
        if let Some(argument) = fields.get("Fn::Sub") {
            let text = argument.as_str().or_else(|| argument[0].as_str()).unwrap();
            let own = argument.get(1).and_then(Value::as_object);
            let names = variables(text).filter(|name| own.is_none_or(|it| !it.contains_key(*name)));
            found.extend(names.map(|name| name.split('.').next().unwrap()));
        }
    });
    found
}
