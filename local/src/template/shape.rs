//! What the entries of a template have to have, and may. CloudFormation refuses a template whole in which one of
//! them is otherwise, and says so only when all else is done.

use serde_json::Value;

use super::TemplateError;

/// What an entry of a section consists of.
struct Shape {
    section: &'static str,
    /// What it must have.
    required: &'static str,
    /// What it may have; nothing, if CloudFormation takes more than is known here.
    known: &'static [&'static str],
}

/// As of the user guide's “Template sections”.
const SHAPES: [Shape; 3] = [
    Shape {
        section: "Parameters",
        required: "Type",
        known: &[],
    },
    Shape {
        section: "Resources",
        required: "Type",
        known: &[
            "Condition",
            "CreationPolicy",
            "DeletionPolicy",
            "DependsOn",
            "Metadata",
            "Properties",
            "Type",
            "UpdatePolicy",
            "UpdateReplacePolicy",
        ],
    },
    Shape {
        section: "Outputs",
        required: "Value",
        known: &["Condition", "Description", "Export", "Value"],
    },
];

/// Whether each entry is what its section's are.
///
/// # Errors
/// [`TemplateError::Malformed`].
pub(super) fn check(document: &Value) -> Result<(), TemplateError> {
    for shape in SHAPES {
        let entries = document[shape.section].as_object().into_iter().flatten();
        for (name, entry) in entries {
            shape.check(name, entry)?;
        }
    }
    Ok(())
}

impl Shape {
    fn check(&self, name: &str, entry: &Value) -> Result<(), TemplateError> {
        let Self {
            section,
            required,
            known,
        } = self;
        let malformed = |problem: String| {
            let place = match *section {
                "Resources" => name.to_owned(),
                _ => format!("{section}.{name}"),
            };
            TemplateError::Malformed { place, problem }
        };
        if name.is_empty() || !name.bytes().all(|it| it.is_ascii_alphanumeric()) {
            let problem = "is called by more than the letters and digits that CloudFormation takes";
            return Err(malformed(problem.to_owned()));
        }
        if entry[*required].is_null() {
            return Err(malformed(format!("has no `{required}`")));
        }
        if *required == "Type" && !entry["Type"].is_string() {
            return Err(malformed("has a `Type` that is no text".to_owned()));
        }
        let mut parts = entry.as_object().into_iter().flatten().map(|it| it.0);
        match parts.find(|it| !known.is_empty() && !known.contains(&it.as_str())) {
            Some(unknown) => Err(malformed(format!(
                "has the attribute `{unknown}`: there are {}",
                known.join(", ")
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_without_what_it_must_have_or_with_what_it_cannot_is_told_with_its_place() {
        let good = json!({
            "Parameters": {"Stage": {"Type": "String", "Anything": 1}},
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain"}},
            "Outputs": {"Url": {"Value": {"Ref": "Queue"}, "Export": {"Name": "url"}}},
        });
        check(&good).expect("a template");
        check(&json!({})).expect("nothing wrong in it");
        for (section, name, entry, expected) in [
            ("Parameters", "Stage", json!({}), "has no `Type`"),
            (
                "Resources",
                "Queue",
                json!({"Properties": {}}),
                "has no `Type`",
            ),
            ("Resources", "Queue", Value::Null, "has no `Type`"),
            (
                "Resources",
                "Queue",
                json!({"Type": ["AWS"]}),
                "has a `Type` that is no text",
            ),
            (
                "Resources",
                "Queue",
                json!({"Type": "AWS::SQS::Queue", "Propertys": {}}),
                "has the attribute `Propertys`: there are Condition, CreationPolicy, DeletionPolicy, \
                 DependsOn, Metadata, Properties, Type, UpdatePolicy, UpdateReplacePolicy",
            ),
            (
                "Resources",
                "My-Queue",
                json!({"Type": "AWS::SQS::Queue"}),
                "is called by more than the letters and digits that CloudFormation takes",
            ),
            (
                "Outputs",
                "Url",
                json!({"Export": {"Name": "url"}}),
                "has no `Value`",
            ),
        ] {
            let place = match section {
                "Resources" => name.to_owned(),
                _ => format!("{section}.{name}"),
            };
            let mut document = good.clone();
            document[section][name] = entry;
            let error = check(&document).expect_err("a fault").to_string();
            assert_eq!(error, format!("`{place}` {expected}"));
        }
    }
}
