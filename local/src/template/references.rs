//! Who refers to whom. AWS makes nothing of a template in which a name is of nothing, or things wait for each
//! other in a circle, and says so only when all else is done. So it is looked for before, in the whole of a
//! template: what has no meaning on one machine as well.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::TemplateError;
use super::resolve::intrinsic;

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

/// What a name is to be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A parameter or a resource.
    Value,
    Resource,
    Condition,
}

/// A name that is used.
#[derive(Debug)]
struct Use<'a> {
    place: String,
    name: &'a str,
    kind: Kind,
    /// Whether a condition decides whether it is.
    is_conditional: bool,
}

/// Where something stands.
#[derive(Clone, Debug)]
struct At {
    place: String,
    /// Whether in a condition, where alone `Condition` is a function.
    is_condition: bool,
    is_conditional: bool,
}

impl At {
    fn new(place: &str) -> Self {
        Self {
            place: place.to_owned(),
            is_condition: false,
            is_conditional: false,
        }
    }

    fn below(&self, part: &str) -> Self {
        let place = format!("{}{part}", self.place);
        Self {
            place,
            ..self.clone()
        }
    }

    fn uses<'a>(&self, name: &'a str, kind: Kind) -> Use<'a> {
        Use {
            place: self.place.clone(),
            name,
            kind,
            is_conditional: self.is_conditional,
        }
    }
}

/// Whether each name in a template, in its JSON form with functions in their long form, is of something, and
/// nothing waits for itself.
///
/// # Errors
/// [`TemplateError::Dangling`], [`TemplateError::UnknownCondition`] or [`TemplateError::Circular`].
pub(super) fn check(document: &Value) -> Result<(), TemplateError> {
    let section = |name: &str| document[name].as_object();
    let resources = each(section("Resources"), of_resource);
    let conditions = each(section("Conditions"), of_condition);
    let outputs = each(section("Outputs"), of_output);
    for used in [&resources, &conditions, &outputs]
        .into_iter()
        .flat_map(|it| it.values())
        .flatten()
    {
        let is_in = |name: &str| section(name).is_some_and(|it| it.contains_key(used.name));
        let is_known = match used.kind {
            Kind::Condition => is_in("Conditions"),
            Kind::Resource => is_in("Resources"),
            Kind::Value => {
                is_in("Parameters") || is_in("Resources") || PSEUDO_PARAMETERS.contains(&used.name)
            }
        };
        if !is_known {
            return Err(used.unknown());
        }
    }
    // A condition may break a circle: AWS works those out first, and tells of one that is left.
    refuse(circle(&resources, |it| {
        it.kind != Kind::Condition && !it.is_conditional
    }))?;
    check_conditions(document)
}

/// Whether no condition is made of itself: whoever works one out would not come to an end.
///
/// # Errors
/// [`TemplateError::Circular`].
pub(super) fn check_conditions(document: &Value) -> Result<(), TemplateError> {
    let conditions = each(document["Conditions"].as_object(), of_condition);
    refuse(circle(&conditions, |it| it.kind == Kind::Condition))
}

fn refuse(circle: Option<Vec<String>>) -> Result<(), TemplateError> {
    match circle {
        Some(path) => Err(TemplateError::Circular { path }),
        None => Ok(()),
    }
}

impl Use<'_> {
    fn unknown(&self) -> TemplateError {
        let (place, name) = (self.place.clone(), self.name.to_owned());
        match self.kind {
            Kind::Condition => TemplateError::UnknownCondition {
                place,
                condition: name,
            },
            Kind::Value | Kind::Resource => TemplateError::Dangling {
                place,
                target: name,
            },
        }
    }
}

/// What each entry of a section uses, by the entry's name.
fn each<'a>(
    section: Option<&'a Map<String, Value>>,
    of: fn(&'a str, &'a Value, &mut Vec<Use<'a>>),
) -> BTreeMap<&'a str, Vec<Use<'a>>> {
    let entries = section.into_iter().flatten();
    let entries = entries.map(|(name, entry)| {
        let mut uses = Vec::new();
        of(name, entry, &mut uses);
        (name.as_str(), uses)
    });
    entries.collect()
}

fn of_resource<'a>(id: &'a str, declaration: &'a Value, uses: &mut Vec<Use<'a>>) {
    of_whether(id, declaration, uses);
    let at = At {
        is_conditional: declaration["Condition"].is_string(),
        ..At::new(id)
    };
    let targets = match &declaration["DependsOn"] {
        Value::Array(targets) => targets.as_slice(),
        one => std::slice::from_ref(one),
    };
    let depends_on = at.below(".DependsOn");
    let names = targets.iter().filter_map(Value::as_str);
    uses.extend(names.map(|name| depends_on.uses(name, Kind::Resource)));
    of_value(&at, &declaration["Properties"], uses);
}

fn of_condition<'a>(name: &'a str, condition: &'a Value, uses: &mut Vec<Use<'a>>) {
    let at = At {
        is_condition: true,
        ..At::new(&format!("Conditions.{name}"))
    };
    of_value(&at, condition, uses);
}

fn of_output<'a>(name: &'a str, output: &'a Value, uses: &mut Vec<Use<'a>>) {
    let at = At::new(&format!("Outputs.{name}"));
    of_whether(&at.place, output, uses);
    of_value(&at, &output["Value"], uses);
    of_value(&at, &output["Export"], uses);
}

/// The condition that a resource or output is there by.
fn of_whether<'a>(place: &str, declaration: &'a Value, uses: &mut Vec<Use<'a>>) {
    let at = At::new(&format!("{place}.Condition"));
    let name = declaration["Condition"].as_str();
    uses.extend(name.map(|name| at.uses(name, Kind::Condition)));
}

fn of_value<'a>(at: &At, value: &'a Value, uses: &mut Vec<Use<'a>>) {
    match value {
        Value::Object(map) => match intrinsic(map) {
            Some((function, argument)) if function != "Condition" || at.is_condition => {
                of_function(at, function, argument, uses);
            }
            _ => of_each(at, map, uses),
        },
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                of_value(&at.below(&format!("[{index}]")), item, uses);
            }
        }
        _ => {}
    }
}

fn of_each<'a>(at: &At, map: &'a Map<String, Value>, uses: &mut Vec<Use<'a>>) {
    for (key, value) in map {
        of_value(&at.below(&format!(".{key}")), value, uses);
    }
}

fn of_function<'a>(at: &At, function: &str, argument: &'a Value, uses: &mut Vec<Use<'a>>) {
    let mut add = |name: &'a str, kind| uses.push(at.uses(name, kind));
    match (function, argument) {
        ("Ref", Value::String(name)) => add(name, Kind::Value),
        ("Condition", Value::String(name)) => add(name, Kind::Condition),
        ("Fn::GetAtt", Value::String(dotted)) => add(first_of(dotted), Kind::Resource),
        ("Fn::GetAtt", Value::Array(parts)) => {
            if let Some(name) = parts.first().and_then(Value::as_str) {
                add(name, Kind::Resource);
            }
        }
        ("Fn::Sub", Value::String(text)) => of_text(text, None).for_each(|it| add(it.0, it.1)),
        ("Fn::Sub", Value::Array(parts)) => {
            let (text, own) = (parts.first(), parts.get(1));
            let text = text.and_then(Value::as_str).unwrap_or_default();
            let own = own.and_then(Value::as_object);
            of_text(text, own).for_each(|it| add(it.0, it.1));
            if let Some(own) = own {
                of_each(at, own, uses);
            }
        }
        ("Fn::If", Value::Array(parts)) => {
            if let Some(name) = parts.first().and_then(Value::as_str) {
                add(name, Kind::Condition);
            }
            let either = At {
                is_conditional: true,
                ..at.clone()
            };
            for part in parts.iter().skip(1) {
                of_value(&either, part, uses);
            }
        }
        _ => of_value(at, argument, uses),
    }
}

/// The names between `${` and `}` that are not a text's own; `${!Literal}` is none.
fn of_text<'a>(
    text: &'a str,
    own: Option<&'a Map<String, Value>>,
) -> impl Iterator<Item = (&'a str, Kind)> {
    let names = text.split("${").skip(1);
    let names = names.filter_map(|rest| Some(rest.split_once('}')?.0));
    let is_own = move |name: &str| own.is_some_and(|it| it.contains_key(name));
    names
        .filter(move |name| !name.starts_with('!') && !is_own(name))
        .map(|name| match name.split_once('.') {
            Some((resource, _)) => (resource, Kind::Resource),
            None => (name, Kind::Value),
        })
}

fn first_of(dotted: &str) -> &str {
    dotted.split('.').next().unwrap_or_default()
}

/// A way from an entry back to itself, by uses that count, if there is one.
fn circle(
    entries: &BTreeMap<&str, Vec<Use<'_>>>,
    counts: impl Fn(&Use<'_>) -> bool,
) -> Option<Vec<String>> {
    let mut done = Vec::new();
    entries
        .keys()
        .find_map(|name| way_back(name, entries, &counts, &mut Vec::new(), &mut done))
}

/// Goes on from an entry, by way of those on the `path`, to all that lead nowhere and are not known to yet.
fn way_back<'a>(
    name: &'a str,
    entries: &BTreeMap<&'a str, Vec<Use<'a>>>,
    counts: &impl Fn(&Use<'_>) -> bool,
    path: &mut Vec<&'a str>,
    done: &mut Vec<&'a str>,
) -> Option<Vec<String>> {
    if let Some(begin) = path.iter().position(|it| *it == name) {
        let circle = path[begin..].iter().chain([&name]);
        return Some(circle.map(|it| (*it).to_owned()).collect());
    }
    if done.contains(&name) {
        return None;
    }
    path.push(name);
    let uses = entries.get(name).into_iter().flatten();
    let found = uses
        .filter(|it| counts(it))
        .find_map(|it| way_back(it.name, entries, counts, path, done));
    path.pop();
    done.push(name);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::{Context, Template};

    fn refused(document: &Value) -> String {
        check(document).expect_err("a fault").to_string()
    }

    fn with_property(value: &Value) -> Value {
        json!({
            "Parameters": {"Stage": {"Type": "String"}},
            "Conditions": {"IsOn": {"Fn::Equals": [{"Ref": "Stage"}, "on"]}},
            "Resources": {
                "Role": {"Type": "AWS::IAM::Role", "Properties": {"Any": [value]}},
                "Table": {"Type": "AWS::DynamoDB::Table"},
            },
        })
    }

    #[test]
    fn names_of_parameters_resources_and_awss_own_are_known_in_every_function() {
        for value in [
            json!({"Ref": "Stage"}),
            json!({"Ref": "Table"}),
            json!({"Ref": "AWS::Region"}),
            json!({"Fn::GetAtt": ["Table", "Arn"]}),
            json!({"Fn::GetAtt": "Table.Arn"}),
            json!({"Fn::Sub": "${Table.Arn}/${Stage}/${!Literal}/${AWS::Region}"}),
            json!({"Fn::Sub": ["${Own}", {"Own": {"Ref": "Table"}}]}),
            json!({"Fn::If": ["IsOn", {"Ref": "Table"}, {"Ref": "AWS::NoValue"}]}),
            json!({"Fn::Join": ["", [{"Ref": "Table"}]]}),
            // A policy's own.
            json!({"Effect": "Allow", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
            // Names that happen to be a function's elsewhere.
            json!({"Variables": {"Condition": "sunny"}}),
            json!({"Fn::Sub": ["${Condition}", {"Condition": "sunny"}]}),
        ] {
            check(&with_property(&value)).unwrap_or_else(|error| panic!("{value}: {error}"));
        }
    }

    #[test]
    fn a_name_of_nothing_is_told_with_its_place_wherever_it_stands() {
        for value in [
            json!({"Ref": "Tabel"}),
            json!({"Fn::GetAtt": ["Tabel", "Arn"]}),
            json!({"Fn::Sub": "a ${Tabel} b"}),
            json!({"Fn::Sub": ["${Own}", {"Own": {"Fn::GetAtt": "Tabel.Arn"}}]}),
            json!({"Fn::If": ["IsOn", "", {"Ref": "Tabel"}]}),
            json!({"Fn::Join": ["", [{"Ref": "Tabel"}]]}),
        ] {
            let error = refused(&with_property(&value));
            let beginning = "`Role.Any[0]";
            assert!(error.starts_with(beginning), "{value}: {error}");
            assert!(error.contains("refers to `Tabel`"), "{value}: {error}");
        }
        let attribute_of_a_parameter = json!({"Fn::GetAtt": ["Stage", "Arn"]});
        assert!(refused(&with_property(&attribute_of_a_parameter)).contains("`Stage`"));
        let condition = json!({"Fn::If": ["IsOff", "", ""]});
        let error = refused(&with_property(&condition));
        assert_eq!(
            error,
            "`Role.Any[0]` depends on the condition `IsOff`, which is not there"
        );
        let mut template = with_property(&json!(""));
        template["Outputs"] = json!({"Name": {"Condition": "IsOf", "Value": ""}});
        assert!(refused(&template).contains("`Outputs.Name.Condition`"));
        template["Outputs"] = json!({"Name": {"Value": {"Ref": "Tabel"}}});
        assert!(refused(&template).contains("`Outputs.Name`"));
        template["Resources"]["Role"]["DependsOn"] = json!(["Table", "Tabel"]);
        assert!(refused(&template).contains("`Role.DependsOn` refers to `Tabel`"));
    }

    #[test]
    fn resources_that_wait_for_each_other_are_told_in_their_order() {
        let mut template = with_property(&json!({"Fn::GetAtt": ["Function", "Arn"]}));
        template["Resources"]["Function"] =
            json!({"Type": "AWS::Lambda::Function", "DependsOn": "Table"});
        check(&template).expect("a way that ends");
        template["Resources"]["Table"]["Properties"] = json!({"Any": {"Ref": "Role"}});
        assert_eq!(
            refused(&template),
            "`Function` needs `Table`, `Table` needs `Role`, `Role` needs `Function`: none of them can be first"
        );
        template["Resources"]["Table"]["DependsOn"] = "Table".into();
        template["Resources"]["Table"]["Properties"] = json!({});
        assert_eq!(
            refused(&template),
            "`Table` needs `Table`: none of them can be first"
        );
    }

    #[test]
    fn a_circle_that_a_condition_breaks_is_left_to_aws() {
        let mut template = with_property(&json!({"Fn::If": ["IsOn", {"Ref": "Table"}, ""]}));
        let back = json!({"Any": {"Fn::If": ["IsOn", "", {"Ref": "Role"}]}});
        template["Resources"]["Table"]["Properties"] = back;
        check(&template).expect("never a circle");
        template["Resources"]["Role"]["Properties"] = json!({"Any": {"Ref": "Table"}});
        template["Resources"]["Table"]["Properties"] = json!({"Any": {"Ref": "Role"}});
        assert!(refused(&template).contains("none of them can be first"));
        template["Resources"]["Table"]["Condition"] = "IsOn".into();
        check(&template).expect("nothing that this could know of");
    }

    #[test]
    fn conditions_that_are_made_of_each_other_are_refused_and_not_followed_for_ever() {
        let mut template = with_property(&json!(""));
        template["Resources"]["Table"]["Condition"] = "IsOn".into();
        template["Conditions"] = json!({
            "IsOn": {"Fn::Not": [{"Condition": "IsOff"}]},
            "IsOff": {"Fn::Not": [{"Condition": "IsOn"}]},
        });
        let expected = "`IsOff` needs `IsOn`, `IsOn` needs `IsOff`: none of them can be first";
        assert_eq!(refused(&template), expected);
        let parameters = BTreeMap::new();
        let context = Context {
            stack_name: "local",
            parameters: &parameters,
            authority: "127.0.0.1:1",
        };
        let error = Template::read(&template, &context).expect_err("a circle");
        assert_eq!(error.to_string(), expected);
    }
}
