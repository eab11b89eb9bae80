//! A finished template.

use serde_json::Value;

use super::{Cdn, yaml};

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

    /// The name and the type of each resource that is made with this setting.
    pub(crate) fn resources(&self, cdn: Cdn) -> Vec<(String, String)> {
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        let named = resources.filter_map(|(name, resource)| {
            let is_made = match resource["Condition"].as_str() {
                Some("HasCdn") => cdn == Cdn::On,
                Some("HasNoCdn") => cdn == Cdn::Off,
                _ => true,
            };
            let kind = resource["Type"].as_str().filter(|_| is_made)?;
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
        let mut resources = Document::new(json!({"Resources": resources})).resources(Cdn::On);
        resources.sort();
        let expected = [("B", "AWS::S3::Bucket"), ("T", "AWS::DynamoDB::Table")];
        assert_eq!(
            resources,
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert_eq!(Document::new(json!({})).resources(Cdn::On), []);
    }

    #[test]
    fn what_its_condition_leaves_out_is_no_resource() {
        let resources = json!({
            "D": {"Type": "AWS::CloudFront::Distribution", "Condition": "HasCdn"},
            "P": {"Type": "AWS::S3::BucketPolicy", "Condition": "HasNoCdn"},
        });
        let document = Document::new(json!({"Resources": resources}));
        for (cdn, made) in [(Cdn::On, "D"), (Cdn::Off, "P")] {
            let names = document.resources(cdn).into_iter().map(|(name, _)| name);
            assert_eq!(names.collect::<Vec<_>>(), [made]);
        }
    }

    #[test]
    fn json_has_the_long_forms_and_yaml_the_short_ones() {
        let document = Document::new(json!({"Outputs": {"O": {"Value": {"Ref": "T"}}}}));
        let json = document.to_json();
        assert!(json.contains(r#""Ref": "T""#) && json.ends_with("}\n"));
        assert_eq!(document.to_yaml(), "Outputs:\n  O:\n    Value: !Ref T\n");
    }
}
