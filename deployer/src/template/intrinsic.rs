//! CloudFormation's functions in their two forms: `!GetAtt Table.Arn` as people write them in YAML,
//! and `{"Fn::GetAtt": ["Table", "Arn"]}` as JSON and every program that reads a template has them.
//!
//! Nothing here knows what a function does.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Every function with a short form: its tag without the `!`, and its long name.
const FUNCTIONS: [(&str, &str); 18] = [
    ("And", "Fn::And"),
    ("Base64", "Fn::Base64"),
    ("Cidr", "Fn::Cidr"),
    ("Condition", "Condition"),
    ("Equals", "Fn::Equals"),
    ("FindInMap", "Fn::FindInMap"),
    (GET_ATT, "Fn::GetAtt"),
    ("GetAZs", "Fn::GetAZs"),
    ("If", "Fn::If"),
    ("ImportValue", "Fn::ImportValue"),
    ("Join", "Fn::Join"),
    ("Not", "Fn::Not"),
    ("Or", "Fn::Or"),
    ("Ref", "Ref"),
    ("Select", "Fn::Select"),
    ("Split", "Fn::Split"),
    ("Sub", "Fn::Sub"),
    ("Transform", "Fn::Transform"),
];

/// The one function whose argument is written differently in the two forms.
const GET_ATT: &str = "GetAtt";

/// Why a tagged node has no long form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IntrinsicError {
    /// CloudFormation has no function of this name.
    #[error("`!{tag}` is not a CloudFormation function")]
    UnknownTag {
        /// The tag without its `!`.
        tag: String,
    },
    /// The function cannot take such an argument.
    #[error("`!{tag}` takes {expected}")]
    Argument {
        /// The tag without its `!`.
        tag: &'static str,
        /// What the function takes, for people.
        expected: &'static str,
    },
}

/// A function in its short form.
pub(crate) struct ShortForm<'a> {
    /// The tag without its `!`.
    pub(crate) tag: &'static str,
    /// The function's argument as it stands after the tag.
    pub(crate) argument: Cow<'a, Value>,
}

/// From the short form to the long one. The argument's own functions are in long form already.
///
/// # Errors
/// [`IntrinsicError`], if there is no such function or it cannot take this argument.
pub(crate) fn to_long(tag: &str, argument: Value) -> Result<Value, IntrinsicError> {
    let Some((tag, name)) = FUNCTIONS.into_iter().find(|(short, _)| *short == tag) else {
        return Err(IntrinsicError::UnknownTag {
            tag: tag.to_owned(),
        });
    };
    let argument = match (tag, argument) {
        (GET_ATT, Value::String(text)) => split_attribute(&text)?,
        (_, argument) => argument,
    };
    if let Some(expected) = fault(tag, &argument) {
        return Err(IntrinsicError::Argument { tag, expected });
    }
    Ok(Value::Object(Map::from_iter([(name.to_owned(), argument)])))
}

/// From the long form to the short one, where the value is a function that has one and whose
/// argument can stand after a tag.
pub(crate) fn to_short(value: &Value) -> Option<ShortForm<'_>> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (key, argument) = fields.iter().next()?;
    let (tag, _) = FUNCTIONS.into_iter().find(|(_, name)| name == key)?;
    if fault(tag, argument).is_some() {
        return None;
    }
    let argument = match tag {
        GET_ATT => Cow::Owned(join_attribute(argument)?),
        _ => Cow::Borrowed(argument),
    };
    // A YAML node has one tag: `!Base64 !Sub …` cannot be written.
    to_short(&argument)
        .is_none()
        .then_some(ShortForm { tag, argument })
}

/// What the function takes instead, if it cannot take the argument. Only the functions that a typing
/// error can break without any reader noticing are looked at.
fn fault(tag: &str, argument: &Value) -> Option<&'static str> {
    let is_list = |length: usize| argument.as_array().is_some_and(|list| list.len() == length);
    match tag {
        "Ref" | "Condition" if !argument.is_string() => Some("a name"),
        GET_ATT if !is_list(2) => Some("`Resource.Attribute` or a list of the two"),
        "Sub" if !argument.is_string() && !is_list(2) => {
            Some("a string, or a list of a string and a mapping")
        }
        "If" if !is_list(3) => Some("a list of a condition's name and two values"),
        _ => None,
    }
}

/// `Table.Arn` to `["Table", "Arn"]`. An attribute can have dots, a logical id cannot.
fn split_attribute(text: &str) -> Result<Value, IntrinsicError> {
    match text.split_once('.') {
        Some((resource, attribute)) if !resource.is_empty() && !attribute.is_empty() => {
            Ok(Value::from(vec![resource, attribute]))
        }
        _ => Err(IntrinsicError::Argument {
            tag: GET_ATT,
            expected: "`Resource.Attribute` or a list of the two",
        }),
    }
}

/// `["Table", "Arn"]` to `Table.Arn`, unless reading that would give something else.
fn join_attribute(argument: &Value) -> Option<Value> {
    let [resource, attribute] = argument.as_array()?.as_slice() else {
        return None;
    };
    let text = format!("{}.{}", resource.as_str()?, attribute.as_str()?);
    let same = split_attribute(&text).is_ok_and(|split| split == *argument);
    same.then_some(Value::from(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_tag_has_a_long_form_and_comes_back() {
        for (tag, name) in FUNCTIONS {
            let argument = match tag {
                "Ref" | "Condition" | "Sub" => json!("Name"),
                GET_ATT => json!("Table.Stream.Arn"),
                _ => json!(["A", "B", "C"]),
            };
            let long = to_long(tag, argument.clone()).unwrap();
            assert_eq!(long.as_object().unwrap().keys().next().unwrap(), name);
            let short = to_short(&long).unwrap();
            assert_eq!((short.tag, short.argument.as_ref()), (tag, &argument));
        }
    }

    #[test]
    fn an_attribute_is_split_at_its_first_dot() {
        let long = to_long("GetAtt", json!("Table.Stream.Arn")).unwrap();
        assert_eq!(long, json!({"Fn::GetAtt": ["Table", "Stream.Arn"]}));
    }

    #[test]
    fn an_unknown_tag_is_refused() {
        let error = to_long("Reff", json!("Table")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`!Reff` is not a CloudFormation function"
        );
    }

    #[test]
    fn an_argument_of_the_wrong_shape_is_refused() {
        let wrong = [
            ("Ref", json!(123)),
            ("Ref", json!(["Table"])),
            ("Condition", json!(true)),
            ("GetAtt", json!("Table")),
            ("GetAtt", json!(".Arn")),
            ("GetAtt", json!("Table.")),
            ("GetAtt", json!(["Table"])),
            ("Sub", json!({"a": 1})),
            ("Sub", json!(["${a}"])),
            ("If", json!(["IsProd", 1])),
        ];
        for (tag, argument) in wrong {
            let result = to_long(tag, argument.clone());
            assert!(
                matches!(result, Err(IntrinsicError::Argument { .. })),
                "!{tag} {argument}"
            );
        }
    }

    #[test]
    fn what_a_tag_cannot_express_stays_long() {
        let values = [
            json!({"Fn::Base64": {"Fn::Sub": "${Name}"}}),
            json!({"Fn::GetAtt": ["Table", {"Ref": "Attribute"}]}),
            json!({"Fn::GetAtt": ["Dotted.Table", "Arn"]}),
            json!({"Ref": ["not", "a", "name"]}),
            json!({"Ref": "Table", "Other": 1}),
            json!({"Condition": {"StringEquals": {}}}),
            json!({"Name": "Table"}),
        ];
        for value in values {
            assert!(to_short(&value).is_none(), "{value}");
        }
    }
}
