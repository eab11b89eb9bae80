//! One file of `cloudformation/`: YAML text in, a JSON value with every function in its long form
//! out. What the sections of a fragment mean is the business of `merge`.

use saphyr::{LoadableYamlNode, Mapping, Scalar, ScanError, Tag, Yaml};
use serde_json::{Map, Number, Value};

use super::intrinsic::{self, IntrinsicError};

/// A piece of a template.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment<'a> {
    /// The file's name, for messages.
    pub(crate) file: &'a str,
    /// The file's content.
    pub(crate) text: &'a str,
}

/// Why a fragment cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FragmentError {
    /// The file is not text.
    #[error("`{file}` is not UTF-8")]
    Encoding {
        /// The file's name.
        file: String,
    },
    /// The file is not YAML.
    #[error("`{file}:{line}:{column}` is not valid YAML: {problem}")]
    Syntax {
        /// The file's name.
        file: String,
        /// Where it ceases to be YAML, as editors count.
        line: usize,
        /// Likewise.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// The file is something else than one mapping of sections.
    #[error("`{file}` is not a mapping of sections")]
    NotAMapping {
        /// The file's name.
        file: String,
    },
    /// A function is unknown or cannot take its argument.
    #[error("`{file}` has a faulty function at `{key}`")]
    Intrinsic {
        /// The file's name.
        file: String,
        /// Where in the file, from the section downwards.
        key: String,
        /// What is wrong with it.
        #[source]
        source: IntrinsicError,
    },
    /// A value has no place in a template.
    #[error("`{file}` holds {problem} at `{key}`")]
    Value {
        /// The file's name.
        file: String,
        /// Where in the file, from the section downwards.
        key: String,
        /// What there is, for people.
        problem: &'static str,
    },
}

/// Reads a fragment into its sections.
///
/// # Errors
/// [`FragmentError`], for anything that CloudFormation would refuse or read in a way that its author
/// did not mean.
pub(crate) fn parse(fragment: Fragment<'_>) -> Result<Map<String, Value>, FragmentError> {
    let file = fragment.file;
    let documents = Yaml::load_from_str(fragment.text).map_err(|error| syntax(file, &error))?;
    match documents.as_slice() {
        [Yaml::Mapping(sections)] => Reader::new(file).mapping(sections),
        _ => Err(FragmentError::NotAMapping {
            file: file.to_owned(),
        }),
    }
}

fn syntax(file: &str, error: &ScanError) -> FragmentError {
    FragmentError::Syntax {
        file: file.to_owned(),
        line: error.marker().line(),
        column: error.marker().col() + 1,
        problem: error.info().to_owned(),
    }
}

/// Walks down a parsed file and remembers where it is, so that an error can say so.
struct Reader<'a> {
    file: &'a str,
    path: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a str) -> Self {
        Self {
            file,
            path: Vec::new(),
        }
    }

    fn node(&mut self, node: &Yaml<'_>) -> Result<Value, FragmentError> {
        match node {
            Yaml::Value(scalar) => self.scalar(scalar),
            Yaml::Mapping(mapping) => self.mapping(mapping).map(Value::Object),
            Yaml::Sequence(items) => self.sequence(items),
            Yaml::Tagged(tag, argument) => self.tagged(tag, argument),
            // The loader resolves scalars and aliases: what is left are explicit types that do not
            // fit, such as `!!int x`.
            Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
                Err(self.refuse("an unreadable value"))
            }
        }
    }

    fn mapping(&mut self, mapping: &Mapping<'_>) -> Result<Map<String, Value>, FragmentError> {
        let mut fields = Map::with_capacity(mapping.len());
        for (key, node) in mapping {
            let Yaml::Value(Scalar::String(key)) = key else {
                return Err(self.refuse("a key that is not a string"));
            };
            let value = self.below(key.to_string(), |reader| reader.node(node))?;
            fields.insert(key.to_string(), value);
        }
        Ok(fields)
    }

    fn sequence(&mut self, items: &[Yaml<'_>]) -> Result<Value, FragmentError> {
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.below(index.to_string(), |reader| reader.node(item)))
            .collect()
    }

    fn tagged(&mut self, tag: &Tag, argument: &Yaml<'_>) -> Result<Value, FragmentError> {
        let argument = self.node(argument)?;
        // The handle of `!Ref` is `!`; with any other one (`!aws!Ref`) it is somebody else's tag.
        let name = match tag.handle.as_str() {
            "!" => tag.suffix.clone(),
            handle => format!("{}{}", handle.trim_start_matches('!'), tag.suffix),
        };
        intrinsic::to_long(&name, argument).map_err(|source| FragmentError::Intrinsic {
            file: self.file.to_owned(),
            key: self.key(),
            source,
        })
    }

    fn scalar(&self, scalar: &Scalar<'_>) -> Result<Value, FragmentError> {
        match scalar {
            Scalar::String(text) => Ok(Value::from(text.as_ref())),
            Scalar::Boolean(flag) => Ok(Value::from(*flag)),
            Scalar::Integer(number) => Ok(Value::from(*number)),
            Scalar::FloatingPoint(number) => Number::from_f64(number.into_inner())
                .map(Value::Number)
                .ok_or_else(|| self.refuse("a number that JSON does not have")),
            // CloudFormation refuses it too, but only after everything was uploaded.
            Scalar::Null => Err(self.refuse("no value")),
        }
    }

    /// Runs `read` one step further down.
    fn below<T>(&mut self, step: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = read(self);
        self.path.pop();
        result
    }

    fn key(&self) -> String {
        self.path.join(".")
    }

    fn refuse(&self, problem: &'static str) -> FragmentError {
        FragmentError::Value {
            file: self.file.to_owned(),
            key: self.key(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, FragmentError> {
        parse(Fragment {
            file: "test.yaml",
            text,
        })
        .map(Value::Object)
    }

    /// The message of the error and of its cause.
    fn fault(text: &str) -> (String, String) {
        let error = read(text).unwrap_err();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        (error.to_string(), cause)
    }

    #[test]
    fn tags_become_long_forms_at_any_depth() {
        let text = "
            Resources:
              A:
                - !Ref B
                - x: !Sub ['${y}-z', {y: !GetAtt C.Arn}]
                - !If [IsProd, !Ref AWS::NoValue, 3]
        ";
        let expected = json!({"Resources": {"A": [
            {"Ref": "B"},
            {"x": {"Fn::Sub": ["${y}-z", {"y": {"Fn::GetAtt": ["C", "Arn"]}}]}},
            {"Fn::If": ["IsProd", {"Ref": "AWS::NoValue"}, 3]},
        ]}});
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn scalars_keep_their_types() {
        let text = "{a: 1, b: '1', c: 1.5, d: true, e: 'true', f: on, g: 2012-10-17}";
        let expected = json!({
            "a": 1, "b": "1", "c": 1.5, "d": true, "e": "true", "f": "on", "g": "2012-10-17"
        });
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn a_faulty_function_is_named_with_its_file_and_key() {
        let (message, cause) = fault("Resources: {Table: {Properties: [!Reff x]}}");
        assert_eq!(
            message,
            "`test.yaml` has a faulty function at `Resources.Table.Properties.0`"
        );
        assert_eq!(cause, "`!Reff` is not a CloudFormation function");
    }

    #[test]
    fn a_fragment_that_is_not_one_mapping_is_refused() {
        for text in [
            "",
            "# nothing",
            "- a\n- b",
            "text",
            "!Ref x",
            "a: 1\n---\nb: 2",
        ] {
            let (message, _) = fault(text);
            assert_eq!(
                message, "`test.yaml` is not a mapping of sections",
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_with_its_line() {
        let (message, _) = fault("Resources:\n  A: 1\n  A: 2\n");
        let expected = "`test.yaml:3:3` is not valid YAML: duplicated key in mapping";
        assert_eq!(message, expected);
    }

    #[test]
    fn values_that_a_template_cannot_hold_are_refused() {
        let cases = [
            ("{a: {b: }}", "`test.yaml` holds no value at `a.b`"),
            ("{a: [~]}", "`test.yaml` holds no value at `a.0`"),
            (
                "{a: .nan}",
                "`test.yaml` holds a number that JSON does not have at `a`",
            ),
            (
                "{a: !!int x}",
                "`test.yaml` holds an unreadable value at `a`",
            ),
            (
                "{a: {200: x}}",
                "`test.yaml` holds a key that is not a string at `a`",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(fault(text).0, message);
        }
    }
}
