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

    /// The name and the type of each resource.
    pub(crate) fn resources(&self) -> Vec<(String, String)> {
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        let named = resources.filter_map(|(name, resource)| {
            let kind = resource["Type"].as_str()?;
            Some((name.clone(), kind.to_owned()))
        });
        named.collect()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_are_told_with_their_types() {
        let resources =
            json!({"T": {"Type": "AWS::DynamoDB::Table"}, "B": {"Type": "AWS::S3::Bucket"}});
        let mut resources = Document::new(json!({"Resources": resources})).resources();
        resources.sort();
        let expected = [("B", "AWS::S3::Bucket"), ("T", "AWS::DynamoDB::Table")];
        assert_eq!(
            resources,
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert_eq!(Document::new(json!({})).resources(), []);
    }

    #[test]
    fn json_has_the_long_forms_and_yaml_the_short_ones() {
        let document = Document::new(json!({"Outputs": {"O": {"Value": {"Ref": "T"}}}}));
        let json = document.to_json();
        assert!(json.contains(r#""Ref": "T""#) && json.ends_with("}\n"));
        assert_eq!(document.to_yaml(), "Outputs:\n  O:\n    Value: !Ref T\n");
    }
}
