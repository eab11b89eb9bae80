//! Many fragments to one set of sections: nothing is overwritten, nothing is silently left out.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fragment::{self, Fragment, FragmentError};

/// The sections that a fragment may have, in the order of the document.
///
/// Ours have neither `Mappings` nor `Rules`, which `CloudFormation` alone has to understand: they are for a
/// template of one's own.
const SECTIONS: [&str; 9] = [
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
];

/// The section that has others write the template: nobody could tell before a deploy what it comes to, and
/// whoever deploys would have to be allowed to run them.
const MACROS: &str = "Transform";

/// The sections that are one text and not a mapping.
const TEXT_SECTIONS: [&str; 2] = ["AWSTemplateFormatVersion", "Description"];

/// Why fragments do not fit together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    /// One of them cannot be read.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    /// A top-level key is not a section.
    #[error("`{file}` has an unknown section `{key}`")]
    UnknownSection {
        /// The file's name.
        file: String,
        /// The key.
        key: String,
    },
    /// What a template comes to has to be known here.
    #[error(
        "`{file}` has a section `{MACROS}`, which `chatctl` does not merge: macros are not supported"
    )]
    Macros {
        /// The file's name.
        file: String,
    },
    /// A section is a list or a text where it has to be a mapping, or the other way round.
    #[error("the section `{key}` of `{file}` is not {expected}")]
    SectionKind {
        /// The file's name.
        file: String,
        /// The section's name.
        key: String,
        /// What it should be, for people.
        expected: &'static str,
    },
    /// Two fragments define the same thing.
    #[error("`{key}` is in `{file}` and in `{first_file}`")]
    DuplicateKey {
        /// The file that came second.
        file: String,
        /// The file that had it first.
        first_file: String,
        /// The section, or the section and the key in it.
        key: String,
    },
}

/// Reads the fragments and puts their sections together. Sections come in their canonical order, the
/// entries of a section in the order of the fragments; a section without entries is left out.
///
/// # Errors
/// [`MergeError`], naming the file and the key.
pub(crate) fn merge(fragments: &[Fragment<'_>]) -> Result<Value, MergeError> {
    let mut merger = Merger::default();
    for fragment in fragments {
        for (section, content) in fragment::parse(*fragment)? {
            merger.add(fragment.file, &section, content)?;
        }
    }
    Ok(merger.finish())
}

#[derive(Default)]
struct Merger<'a> {
    sections: HashMap<&'static str, Value>,
    /// Which file brought a key, for the message about the second one.
    origins: HashMap<String, &'a str>,
}

impl<'a> Merger<'a> {
    fn add(&mut self, file: &'a str, section: &str, content: Value) -> Result<(), MergeError> {
        if section == MACROS {
            let file = file.to_owned();
            return Err(MergeError::Macros { file });
        }
        let Some(section) = SECTIONS.into_iter().find(|known| *known == section) else {
            return Err(MergeError::UnknownSection {
                file: file.to_owned(),
                key: section.to_owned(),
            });
        };
        match content {
            Value::String(_) if TEXT_SECTIONS.contains(&section) => {
                self.claim(file, section.to_owned())?;
                self.sections.insert(section, content);
            }
            Value::Object(entries) if !TEXT_SECTIONS.contains(&section) => {
                self.add_entries(file, section, entries)?;
            }
            _ => return Err(wrong_kind(file, section)),
        }
        Ok(())
    }

    fn add_entries(
        &mut self,
        file: &'a str,
        section: &'static str,
        entries: Map<String, Value>,
    ) -> Result<(), MergeError> {
        for (key, entry) in entries {
            self.claim(file, format!("{section}.{key}"))?;
            let content = self
                .sections
                .entry(section)
                .or_insert_with(|| Value::Object(Map::new()));
            content[key] = entry;
        }
        Ok(())
    }

    /// Remembers that the file brings the key.
    fn claim(&mut self, file: &'a str, key: String) -> Result<(), MergeError> {
        if let Some(first_file) = self.origins.get(&key) {
            return Err(MergeError::DuplicateKey {
                file: file.to_owned(),
                first_file: (*first_file).to_owned(),
                key,
            });
        }
        self.origins.insert(key, file);
        Ok(())
    }

    fn finish(mut self) -> Value {
        SECTIONS
            .into_iter()
            .filter_map(|section| Some((section.to_owned(), self.sections.remove(section)?)))
            .collect()
    }
}

fn wrong_kind(file: &str, section: &str) -> MergeError {
    let expected = if TEXT_SECTIONS.contains(&section) {
        "a text"
    } else {
        "a mapping"
    };
    MergeError::SectionKind {
        file: file.to_owned(),
        key: section.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge_texts(texts: [&str; 2]) -> Result<Value, MergeError> {
        let [one, two] = texts;
        merge(&[
            Fragment {
                file: "one.yaml",
                text: one,
            },
            Fragment {
                file: "two.yaml",
                text: two,
            },
        ])
    }

    fn fault(texts: [&str; 2]) -> String {
        merge_texts(texts).unwrap_err().to_string()
    }

    #[test]
    fn sections_are_joined_in_canonical_order_and_empty_ones_left_out() {
        let merged = merge_texts([
            "{Outputs: {O: {Value: x}}, Conditions: {}, Resources: {B: {Type: T}}}",
            "{Resources: {A: {Type: T}}, Description: text, Metadata: {}}",
        ])
        .unwrap();
        assert_eq!(
            merged.to_string(),
            r#"{"Description":"text","Resources":{"B":{"Type":"T"},"A":{"Type":"T"}},"Outputs":{"O":{"Value":"x"}}}"#
        );
    }

    #[test]
    fn a_key_in_two_fragments_is_refused_with_both_files() {
        assert_eq!(
            fault(["Resources: {A: {Type: T}}", "Resources: {A: {Type: T}}"]),
            "`Resources.A` is in `two.yaml` and in `one.yaml`"
        );
        assert_eq!(
            fault(["Description: x", "Description: x"]),
            "`Description` is in `two.yaml` and in `one.yaml`"
        );
    }

    #[test]
    fn the_same_key_in_two_sections_is_fine() {
        assert!(merge_texts(["Resources: {A: {Type: T}}", "Outputs: {A: {Value: x}}"]).is_ok());
    }

    #[test]
    fn an_unknown_section_is_refused() {
        assert_eq!(
            fault(["Resource: {A: {Type: T}}", "{}"]),
            "`one.yaml` has an unknown section `Resource`"
        );
    }

    #[test]
    fn sections_that_ours_have_not_are_merged_like_the_others() {
        let merged = merge_texts([
            "{Outputs: {O: {Value: x}}, Mappings: {Sizes: {dev: {Memory: 256}}}}",
            "{Rules: {R: {Assertions: []}}, Parameters: {P: {Type: String}}, Mappings: {M: {a: {b: c}}}}",
        ])
        .unwrap();
        assert_eq!(
            merged.to_string(),
            r#"{"Parameters":{"P":{"Type":"String"}},"Rules":{"R":{"Assertions":[]}},"Mappings":{"Sizes":{"dev":{"Memory":256}},"M":{"a":{"b":"c"}}},"Outputs":{"O":{"Value":"x"}}}"#
        );
        assert_eq!(
            fault(["Mappings: {M: {a: {b: c}}}", "Mappings: {M: {}}"]),
            "`Mappings.M` is in `two.yaml` and in `one.yaml`"
        );
    }

    #[test]
    fn macros_are_refused_in_words_of_their_own() {
        for transform in ["AWS::Serverless-2016-10-31", "[Ours, AWS::Include]"] {
            assert_eq!(
                fault(["{}", &format!("Transform: {transform}")]),
                "`two.yaml` has a section `Transform`, which `chatctl` does not merge: macros are \
                 not supported"
            );
        }
    }

    #[test]
    fn a_section_of_the_wrong_kind_is_refused() {
        assert_eq!(
            fault(["Resources: [A]", "{}"]),
            "the section `Resources` of `one.yaml` is not a mapping"
        );
        assert_eq!(
            fault(["{}", "Description: {a: b}"]),
            "the section `Description` of `two.yaml` is not a text"
        );
    }
}
