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
    fn json_has_the_long_forms_and_yaml_the_short_ones() {
        let document = Document::new(json!({"Outputs": {"O": {"Value": {"Ref": "T"}}}}));
        let json = document.to_json();
        assert!(json.contains(r#""Ref": "T""#) && json.ends_with("}\n"));
        assert_eq!(document.to_yaml(), "Outputs:\n  O:\n    Value: !Ref T\n");
    }
}
