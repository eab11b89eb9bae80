//! A template and values of its parameters, made into what AWS's services are handed. Scanners read what
//! stands in a template: a choice between two values, a value that is put together, or a resource that is
//! not made is nothing to them.
//!
//! What only AWS could tell stays as it is: a `Ref` of a resource, and most of its attributes. Within a
//! text, and for a bucket, an invented value stands for it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Outcome;

/// The values of the parameters, by name.
pub(super) type Parameters = BTreeMap<String, Value>;

const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "123456789012";
const STACK: &str = "chat-dev";
/// What a value is that is not there.
const NOTHING: &str = "AWS::NoValue";

/// The template as it is with these parameters, the others having their defaults, and whether each of its
/// conditions holds.
pub(super) fn resolve(
    template: &Value,
    given: &Parameters,
) -> Outcome<(Value, BTreeMap<String, bool>)> {
    let mut parameters = Parameters::new();
    for (name, parameter) in entries(&template["Parameters"]) {
        let value = given.get(name).or_else(|| parameter.get("Default"));
        let value = value.ok_or_else(|| format!("the parameter `{name}` has no value"))?;
        parameters.insert(name.clone(), value.clone());
    }
    if let Some(unknown) = given.keys().find(|it| !parameters.contains_key(*it)) {
        return Err(format!("the template has no parameter `{unknown}`"));
    }
    let resolver = Resolver {
        template,
        parameters,
    };
    let mut holds = BTreeMap::new();
    for (name, _) in entries(&template["Conditions"]) {
        holds.insert(name.clone(), resolver.holds(name)?);
    }
    let mut whole = template.clone();
    resolver.section(&mut whole["Resources"])?;
    if let Some(sections) = whole.as_object_mut() {
        sections.retain(|name, _| !["Parameters", "Conditions", "Outputs"].contains(&&**name));
    }
    Ok((whole, holds))
}

struct Resolver<'a> {
    template: &'a Value,
    parameters: Parameters,
}

impl Resolver<'_> {
    /// Resources, without those that are not made.
    fn section(&self, section: &mut Value) -> Outcome {
        let Some(resources) = section.as_object_mut() else {
            return Err("the template has no resources".to_owned());
        };
        for (name, mut resource) in std::mem::take(resources) {
            let condition = resource
                .as_object_mut()
                .and_then(|it| it.remove("Condition"));
            if let Some(condition) = condition
                && !self.holds(text(&condition)?)?
            {
                continue;
            }
            if let Some(resource) = self.value(&resource)? {
                resources.insert(name, resource);
            }
        }
        Ok(())
    }

    fn holds(&self, condition: &str) -> Outcome<bool> {
        match self.template["Conditions"].get(condition) {
            Some(expression) => self.truth(expression),
            None => Err(format!("there is no condition `{condition}`")),
        }
    }

    fn truth(&self, expression: &Value) -> Outcome<bool> {
        let unknown = || format!("`{expression}` is no condition that is known here");
        let (function, argument) = call(expression).ok_or_else(unknown)?;
        if function == "Condition" {
            return self.holds(text(argument)?);
        }
        let arguments = argument.as_array().ok_or_else(unknown)?;
        match (function, arguments.as_slice()) {
            ("Fn::Equals", [one, other]) => Ok(self.value(one)? == self.value(other)?),
            ("Fn::Not", [one]) => Ok(!self.truth(one)?),
            ("Fn::And", all) => all
                .iter()
                .try_fold(true, |so_far, it| Ok(self.truth(it)? && so_far)),
            ("Fn::Or", all) => all
                .iter()
                .try_fold(false, |so_far, it| Ok(self.truth(it)? || so_far)),
            _ => Err(unknown()),
        }
    }

    /// A value, or nothing where the template says so.
    fn value(&self, value: &Value) -> Outcome<Option<Value>> {
        if let Some((function, argument)) = call(value) {
            match function {
                "Ref" => return self.reference(value, text(argument)?),
                "Fn::If" => return self.choice(argument),
                "Fn::Sub" => return self.text(argument).map(|it| Some(it.into())),
                "Fn::GetAtt" => return Ok(Some(self.attribute(value, argument))),
                _ => {}
            }
        }
        Ok(Some(match value {
            Value::Array(items) => {
                let items = items.iter().filter_map(|it| self.value(it).transpose());
                Value::Array(items.collect::<Outcome<_>>()?)
            }
            Value::Object(fields) => {
                let mut resolved = Map::new();
                for (name, field) in fields {
                    if let Some(field) = self.value(field)? {
                        resolved.insert(name.clone(), field);
                    }
                }
                Value::Object(resolved)
            }
            other => other.clone(),
        }))
    }

    fn reference(&self, value: &Value, name: &str) -> Outcome<Option<Value>> {
        if name == NOTHING {
            Ok(None)
        } else if let Some(known) = self.known(name) {
            Ok(Some(known))
        } else if self.is_resource(name) {
            Ok(Some(value.clone()))
        } else {
            Err(format!("there is nothing called `{name}`"))
        }
    }

    fn choice(&self, argument: &Value) -> Outcome<Option<Value>> {
        match argument.as_array().map(Vec::as_slice) {
            Some([condition, yes, no]) => {
                let chosen = if self.holds(text(condition)?)? {
                    yes
                } else {
                    no
                };
                self.value(chosen)
            }
            _ => Err(format!("`Fn::If` takes three arguments, not `{argument}`")),
        }
    }

    fn attribute(&self, value: &Value, argument: &Value) -> Value {
        match (argument[0].as_str(), argument[1].as_str()) {
            (Some(resource), Some("Arn")) if self.is_bucket(resource) => {
                self.invented(resource, Some("Arn")).into()
            }
            _ => value.clone(),
        }
    }

    /// What `Fn::Sub` makes of a text, or of a text and what its own names stand for.
    fn text(&self, argument: &Value) -> Outcome<String> {
        let (template, own) = match argument {
            Value::Array(pair) => (pair.first(), pair.get(1)),
            other => (Some(other), None),
        };
        let template = template.and_then(Value::as_str);
        let template = template.ok_or_else(|| format!("`Fn::Sub` has no text: {argument}"))?;
        let mut names = Parameters::new();
        for (name, value) in own.into_iter().flat_map(entries) {
            let value = self.value(value)?.unwrap_or_default();
            names.insert(name.clone(), value);
        }
        self.substitute(template, &names)
    }

    fn substitute(&self, text: &str, own: &Parameters) -> Outcome<String> {
        let mut parts = text.split("${");
        let mut result = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part
                .split_once('}')
                .ok_or_else(|| format!("`{text}` lacks a brace"))?;
            let (resource, attribute) = match name.split_once('.') {
                Some((resource, attribute)) => (resource, Some(attribute)),
                None => (name, None),
            };
            match own.get(name).cloned().or_else(|| self.known(name)) {
                Some(Value::String(known)) => result += &known,
                Some(known) => result += &known.to_string(),
                None if self.is_resource(resource) => {
                    result += &self.invented(resource, attribute);
                }
                None => return Err(format!("there is nothing called `{name}`")),
            }
            result += rest;
        }
        Ok(result)
    }

    /// The value of a parameter, the stack's own among them.
    fn known(&self, name: &str) -> Option<Value> {
        let own = match name {
            "AWS::Region" => REGION.to_owned(),
            "AWS::AccountId" => ACCOUNT.to_owned(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            "AWS::StackName" => STACK.to_owned(),
            "AWS::StackId" => format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/1"),
            _ => return self.parameters.get(name).cloned(),
        };
        Some(own.into())
    }

    fn is_resource(&self, name: &str) -> bool {
        self.template["Resources"].get(name).is_some()
    }

    fn is_bucket(&self, name: &str) -> bool {
        self.template["Resources"][name]["Type"] == "AWS::S3::Bucket"
    }

    fn invented(&self, resource: &str, attribute: Option<&str>) -> String {
        let name = format!("{STACK}-{}", resource.to_lowercase());
        match attribute {
            Some("Arn") if self.is_bucket(resource) => format!("arn:aws:s3:::{name}"),
            Some("Arn") => format!("arn:aws:invented:{REGION}:{ACCOUNT}:{name}"),
            Some(attribute) => format!("{name}-{}", attribute.to_lowercase()),
            None => name,
        }
    }
}

/// A function of `CloudFormation` and its argument: an object of one field.
fn call(value: &Value) -> Option<(&str, &Value)> {
    let fields = value.as_object().filter(|it| it.len() == 1)?;
    fields.iter().next().map(|(name, it)| (name.as_str(), it))
}

fn entries(section: &Value) -> impl Iterator<Item = (&String, &Value)> {
    section.as_object().into_iter().flatten()
}

fn text(value: &Value) -> Outcome<&str> {
    value
        .as_str()
        .ok_or_else(|| format!("`{value}` is no name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(properties: &Value) -> Value {
        json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Parameters": {
                "Cdn": {"Type": "String", "Default": "on"},
                "Days": {"Type": "Number", "Default": 14},
            },
            "Conditions": {
                "HasCdn": {"Fn::Equals": [{"Ref": "Cdn"}, "on"]},
                "HasNone": {"Fn::Not": [{"Condition": "HasCdn"}]},
                "Both": {"Fn::And": [{"Condition": "HasCdn"}, {"Condition": "HasNone"}]},
                "Either": {"Fn::Or": [{"Condition": "HasCdn"}, {"Condition": "HasNone"}]},
            },
            "Resources": {
                "Thing": {"Type": "A::B::C", "Properties": properties},
                "Bucket": {"Type": "AWS::S3::Bucket"},
                "Front": {"Type": "A::B::D", "Condition": "HasCdn"},
                "Back": {"Type": "A::B::D", "Condition": "HasNone"},
            },
            "Outputs": {"Name": {"Value": "it"}},
        })
    }

    fn with(properties: &Value, parameters: &[(&str, &str)]) -> Outcome<Value> {
        let parameters = parameters.iter();
        let parameters = parameters.map(|(name, it)| ((*name).to_owned(), json!(it)));
        resolve(&template(properties), &parameters.collect()).map(|(resolved, _)| resolved)
    }

    #[test]
    fn each_function_is_carried_out_as_aws_would() {
        let arn = "arn:aws:s3:::chat-dev-bucket";
        for (value, on, off) in [
            (json!({"Ref": "Cdn"}), json!("on"), json!("off")),
            (json!({"Ref": "Days"}), json!(14), json!(14)),
            (
                json!({"Ref": "Bucket"}),
                json!({"Ref": "Bucket"}),
                json!({"Ref": "Bucket"}),
            ),
            (json!({"Fn::If": ["HasCdn", 1, 2]}), json!(1), json!(2)),
            (json!({"Fn::If": ["Both", 1, 2]}), json!(2), json!(2)),
            (json!({"Fn::If": ["Either", 1, 2]}), json!(1), json!(1)),
            (
                json!({"Fn::If": ["HasCdn", {"Fn::If": ["HasNone", 1, {"Ref": "Cdn"}]}, 3]}),
                json!("on"),
                json!(3),
            ),
            (
                json!({"Fn::GetAtt": ["Bucket", "Arn"]}),
                json!(arn),
                json!(arn),
            ),
            (
                json!({"Fn::GetAtt": ["Thing", "Arn"]}),
                json!({"Fn::GetAtt": ["Thing", "Arn"]}),
                json!({"Fn::GetAtt": ["Thing", "Arn"]}),
            ),
            (
                json!({"Fn::Sub": "${Bucket.Arn}/${Cdn}-${Days}/*"}),
                json!(format!("{arn}/on-14/*")),
                json!(format!("{arn}/off-14/*")),
            ),
            (
                json!({"Fn::Sub": ["${A}/${Cdn}", {"A": {"Fn::If": ["HasCdn", "yes", "no"]}}]}),
                json!("yes/on"),
                json!("no/off"),
            ),
            (
                json!({"Fn::Sub": "arn:${AWS::Partition}:x:${AWS::Region}:${AWS::AccountId}:${Thing}"}),
                json!("arn:aws:x:eu-central-1:123456789012:chat-dev-thing"),
                json!("arn:aws:x:eu-central-1:123456789012:chat-dev-thing"),
            ),
        ] {
            for (cdn, expected) in [("on", on), ("off", off)] {
                let resolved = with(&json!({"It": value}), &[("Cdn", cdn)]).unwrap();
                let thing = &resolved["Resources"]["Thing"];
                assert_eq!(thing["Properties"]["It"], expected, "{value}, {cdn}");
            }
        }
    }

    #[test]
    fn what_is_not_made_is_not_there() {
        for (cdn, there, gone) in [("on", "Front", "Back"), ("off", "Back", "Front")] {
            let optional = json!({"Fn::If": ["HasCdn", "it", {"Ref": "AWS::NoValue"}]});
            let properties = json!({"It": optional, "List": [optional, "other"]});
            let resolved = with(&properties, &[("Cdn", cdn)]).unwrap();
            let resources = &resolved["Resources"];
            assert_eq!(resources[there], json!({"Type": "A::B::D"}));
            assert_eq!(resources.get(gone), None);
            let properties = &resources["Thing"]["Properties"];
            assert_eq!(properties.get("It").is_some(), cdn == "on");
            let all = properties["List"].as_array().unwrap().len();
            assert_eq!(all, if cdn == "on" { 2 } else { 1 });
            for section in ["Parameters", "Conditions", "Outputs"] {
                assert_eq!(resolved.get(section), None, "{section}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (properties, part) in [
            (json!({"Ref": "Nobody"}), "`Nobody`"),
            (json!({"Fn::Sub": "${Nobody}"}), "`Nobody`"),
            (json!({"Fn::Sub": "${Cdn"}), "lacks a brace"),
            (json!({"Fn::Sub": ["${A}", {"B": 1}]}), "`A`"),
            (json!({"Fn::Sub": [1]}), "no text"),
            (json!({"Fn::If": ["Nobody", 1, 2]}), "`Nobody`"),
            (json!({"Fn::If": ["HasCdn", 1]}), "three arguments"),
        ] {
            let error = with(&json!({"It": properties}), &[]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let error = with(&json!({}), &[("Color", "red")]).unwrap_err();
        assert!(error.contains("no parameter `Color`"), "{error}");
        let mut odd = template(&json!({}));
        odd["Conditions"]["HasCdn"] = json!({"Fn::Contains": [["a"], "a"]});
        let error = resolve(&odd, &Parameters::new()).unwrap_err();
        assert!(error.contains("Fn::Contains"), "{error}");
        odd["Parameters"]["Bare"] = json!({"Type": "String"});
        let error = resolve(&odd, &Parameters::new()).unwrap_err();
        assert!(error.contains("`Bare` has no value"), "{error}");
    }
}
