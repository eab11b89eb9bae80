//! A finished template.

use serde_json::Value;

use super::yaml;

/// A CloudFormation template whose functions are all in their long form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document(Value);

impl Document {
    /// Wraps the sections of a template.
    pub(super) fn new(sections: Value) -> Self {
        Self(sections)
    }

    /// The template as data, for the programs that read it.
    pub(crate) fn as_value(&self) -> &Value {
        &self.0
    }

    /// The template, to be changed.
    pub(super) fn into_value(self) -> Value {
        self.0
    }

    /// The name and the type of each resource that is made with these parameters, and the defaults of the
    /// others.
    pub(crate) fn resources(&self, parameters: &[(String, String)]) -> Vec<(String, String)> {
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        let named = resources.filter_map(|(name, resource)| {
            let condition = resource["Condition"].as_str();
            let is_made =
                condition.is_none_or(|it| self.holds(&self.0["Conditions"][it], parameters));
            let kind = resource["Type"].as_str().filter(|_| is_made)?;
            Some((name.clone(), kind.to_owned()))
        });
        named.collect()
    }

    /// The name and the default of each parameter but those `given`. One whose value AWS hides has none to be
    /// compared with, and gets its default as good as any.
    pub(crate) fn defaults(&self, given: &[(String, String)]) -> Vec<(String, String)> {
        let parameters = self.0["Parameters"].as_object().into_iter().flatten();
        let further = parameters.filter(|(name, _)| given.iter().all(|it| it.0 != **name));
        let open = further.filter(|(_, it)| !is_hidden(it));
        let defaults = open.filter_map(|(name, it)| Some((name.clone(), as_text(&it["Default"])?)));
        defaults.collect()
    }

    /// Whether a condition holds, of the functions that CloudFormation has for them.
    fn holds(&self, condition: &Value, parameters: &[(String, String)]) -> bool {
        let all = |name: &str| condition[name].as_array().map(|it| it.iter());
        let holds = |it: &Value| self.holds(it, parameters);
        if let Some(mut all) = all("Fn::And") {
            all.all(holds)
        } else if let Some(mut all) = all("Fn::Or") {
            all.any(holds)
        } else if let Some(mut all) = all("Fn::Not") {
            !all.any(holds)
        } else if let Some([one, other]) = condition["Fn::Equals"].as_array().map(Vec::as_slice) {
            self.text(one, parameters) == self.text(other, parameters)
        } else if let Some(name) = condition["Condition"].as_str() {
            self.holds(&self.0["Conditions"][name], parameters)
        } else {
            false
        }
    }

    /// A text of a condition: itself, or a parameter's value.
    fn text<'a>(&'a self, text: &'a Value, parameters: &'a [(String, String)]) -> Option<&'a str> {
        let Some(name) = text["Ref"].as_str() else {
            return text.as_str();
        };
        let given = parameters.iter().find(|it| it.0 == name);
        let default = || self.0["Parameters"][name]["Default"].as_str();
        given.map(|it| it.1.as_str()).or_else(default)
    }

    /// The template as JSON, indented, with a line break at its end.
    pub(crate) fn to_json(&self) -> String {
        format!("{:#}\n", self.as_value())
    }

    /// The template as YAML for people, functions in their short form, with a line break at its end.
    pub(crate) fn to_yaml(&self) -> String {
        yaml::write(self.as_value())
    }
}

/// Whether AWS tells stars in the place of a parameter's value.
fn is_hidden(parameter: &Value) -> bool {
    as_text(&parameter["NoEcho"]).is_some_and(|it| it.eq_ignore_ascii_case("true"))
}

/// A value as `CloudFormation` takes it, which knows texts alone.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_are_told_with_their_types() {
        let resources =
            json!({"T": {"Type": "AWS::DynamoDB::Table"}, "B": {"Type": "AWS::S3::Bucket"}});
        let mut resources = Document::new(json!({"Resources": resources})).resources(&[]);
        resources.sort();
        let expected = [("B", "AWS::S3::Bucket"), ("T", "AWS::DynamoDB::Table")];
        assert_eq!(
            resources,
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert_eq!(Document::new(json!({})).resources(&[]), []);
    }

    #[test]
    fn what_its_condition_leaves_out_is_no_resource() {
        let equals = |value: &str| json!({"Fn::Equals": [{"Ref": "Cdn"}, value]});
        let document = Document::new(json!({
            "Parameters": {"Cdn": {"Default": "on"}, "Issuer": {"Default": ""}},
            "Conditions": {
                "HasCdn": equals("on"),
                "HasNoCdn": {"Fn::Not": [{"Condition": "HasCdn"}]},
                "HasSignIn": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Issuer"}, ""]}]},
                "HasBoth": {"Fn::And": [{"Condition": "HasCdn"}, {"Condition": "HasSignIn"}]},
                "HasOne": {"Fn::Or": [{"Condition": "HasNoCdn"}, {"Condition": "HasSignIn"}]},
            },
            "Resources": {
                "D": {"Type": "AWS::CloudFront::Distribution", "Condition": "HasCdn"},
                "P": {"Type": "AWS::S3::BucketPolicy", "Condition": "HasNoCdn"},
                "A": {"Type": "AWS::ApiGatewayV2::Authorizer", "Condition": "HasSignIn"},
                "B": {"Type": "AWS::CloudWatch::Alarm", "Condition": "HasBoth"},
                "O": {"Type": "AWS::CloudWatch::Alarm", "Condition": "HasOne"},
            },
        }));
        for (given, made) in [
            (vec![], "D"),
            (vec![("Cdn", "off")], "OP"),
            (vec![("Issuer", "https://login.example")], "ABDO"),
            (
                vec![("Issuer", "https://login.example"), ("Cdn", "off")],
                "AOP",
            ),
        ] {
            let given = given.iter().map(|it| (it.0.to_owned(), it.1.to_owned()));
            let resources = document.resources(&given.collect::<Vec<_>>());
            let mut names: Vec<_> = resources.into_iter().map(|(name, _)| name).collect();
            names.sort();
            assert_eq!(names.concat(), made);
        }
    }

    #[test]
    fn parameters_that_nobody_gives_are_told_with_their_defaults_as_texts() {
        let document = Document::new(json!({"Parameters": {
            "Given": {"Type": "String", "Default": "other"},
            "Club": {"Type": "String", "Default": "ours"},
            "Count": {"Type": "Number", "Default": 5},
            "Share": {"Type": "Number", "Default": 0.5},
            "Open": {"Type": "String", "Default": true},
            "Empty": {"Type": "String", "Default": "", "NoEcho": false},
            "Needed": {"Type": "String"},
            "Secret": {"Type": "String", "Default": "s", "NoEcho": true},
            "Hidden": {"Type": "String", "Default": "h", "NoEcho": "true"},
        }}));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let given = [("Given", "value")].map(owned);
        let mut defaults = document.defaults(&given);
        defaults.sort();
        let expected = [
            ("Club", "ours"),
            ("Count", "5"),
            ("Empty", ""),
            ("Open", "true"),
            ("Share", "0.5"),
        ];
        assert_eq!(defaults, expected.map(owned));
        assert_eq!(Document::new(json!({})).defaults(&[]), []);
    }

    #[test]
    fn json_has_the_long_forms_and_yaml_the_short_ones() {
        let document = Document::new(json!({"Outputs": {"O": {"Value": {"Ref": "T"}}}}));
        let json = document.to_json();
        assert!(json.contains(r#""Ref": "T""#) && json.ends_with("}\n"));
        assert_eq!(document.to_yaml(), "Outputs:\n  O:\n    Value: !Ref T\n");
    }
}
