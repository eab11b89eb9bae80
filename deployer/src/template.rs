//! The stack's template: the fragments of `cloudformation/` and the settings, made into one
//! document.
//!
//! Everything here is pure: the fragments are embedded in the program or handed in, and there is no file, no
//! clock and no environment. What is done with a document (printing, uploading, running it on this
//! machine) belongs to the commands.
//!
//! # Layout
//! * `embedded`: the folder `cloudformation/`, inside the program; `fragments`: it or another one.
//! * `fragment`: one file of `cloudformation/`, from YAML text to a JSON value.
//! * `intrinsic`: CloudFormation's functions, `!Ref` and its kin, in their short and long forms.
//! * `merge`: many fragments to one set of sections.
//! * `document`: the result, and its JSON and YAML text.
//! * `yaml`: the YAML writer.
//! * `stage`: the name of a stage.
//! * `cdn`: whether CloudFront serves the page.
//! * `domain`: a domain of one's own, with its certificate.
//! * `protection`: whether the table outlives the stack.

mod cdn;
mod document;
mod domain;
mod embedded;
mod fragment;
mod fragments;
mod intrinsic;
mod merge;
mod protection;
mod stage;
mod yaml;

#[cfg(test)]
mod invariants;

pub(crate) use cdn::Cdn;
pub(crate) use document::Document;
pub(crate) use domain::{Domain, DomainError};
pub(crate) use fragments::Fragments;
pub(crate) use protection::{Protection, TABLE};
pub(crate) use stage::{StageName, StageNameError};

use serde_json::Value;

use fragment::{Fragment, FragmentError};
use merge::MergeError;

/// The parameter whose default is the stage that was asked for.
const STAGE_PARAMETER: &str = "StageName";

/// What a template depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateSettings {
    /// The default of the parameter `StageName`.
    pub(crate) stage: StageName,
    /// What it is put together from.
    pub(crate) fragments: Fragments,
}

#[cfg(test)]
impl TemplateSettings {
    /// Of the fragments inside the program.
    pub(crate) fn embedded(stage: StageName) -> Self {
        Self {
            stage,
            fragments: Fragments::default(),
        }
    }
}

/// Why there is no document. Every one of these is a fault in `cloudformation/`, never in what the
/// user asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    /// A fragment cannot be read.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    /// The fragments do not fit together.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// An entry is none, a name is of nothing, or things wait for each other.
    #[error(transparent)]
    Meaning(#[from] local::template::TemplateError),
    /// A parameter that the settings fill in is not declared.
    #[error("no fragment declares the parameter `{parameter}`")]
    MissingParameter {
        /// The parameter's name.
        parameter: &'static str,
    },
}

/// Makes the template of one stage. The same settings always give the same document.
///
/// # Errors
/// [`TemplateError`], if the fragments are faulty: a test sees to it that the embedded ones are not.
pub(crate) fn synthesize(settings: &TemplateSettings) -> Result<Document, TemplateError> {
    assemble(&settings.fragments.all()?, settings)
}

/// The template of one stage that is protected, or not.
///
/// # Errors
/// As [`synthesize`].
pub(crate) fn synthesize_protected(
    settings: &TemplateSettings,
    protection: Protection,
) -> Result<Document, TemplateError> {
    let mut sections = synthesize(settings)?.into_value();
    protection::apply(&mut sections, protection);
    let default = protection.to_string();
    set_default(&mut sections, protection::PARAMETER, &default)?;
    Ok(Document::new(sections))
}

/// The template with other values where nobody gives any.
///
/// # Errors
/// [`TemplateError`], if a parameter is not declared.
pub(crate) fn with_defaults(
    document: Document,
    values: &[(&'static str, String)],
) -> Result<Document, TemplateError> {
    let mut sections = document.into_value();
    for (parameter, value) in values {
        set_default(&mut sections, parameter, value)?;
    }
    Ok(Document::new(sections))
}

/// The files that the embedded template is put together from, by their names and ordered by them.
///
/// # Errors
/// [`TemplateError`], if one of them is not text: a test sees to it that all are.
pub(crate) fn embedded() -> Result<Vec<(&'static str, &'static str)>, TemplateError> {
    let fragments = embedded::fragments()?;
    Ok(fragments.iter().map(|it| (it.file, it.text)).collect())
}

/// The template of the stack that holds the packages of all stages.
///
/// # Errors
/// [`TemplateError`], if it is not embedded: a test sees to it that it is.
pub(crate) fn artifacts() -> Result<&'static str, TemplateError> {
    Ok(embedded::artifacts()?)
}

/// The template of the role that API Gateway writes access logs as, for all chats of an account and
/// Region.
///
/// # Errors
/// [`TemplateError`], if it is not embedded: a test sees to it that it is.
pub(crate) fn access_logs_role() -> Result<&'static str, TemplateError> {
    Ok(embedded::access_logs()?)
}

/// [`synthesize`], of any fragments.
fn assemble(
    fragments: &[Fragment<'_>],
    settings: &TemplateSettings,
) -> Result<Document, TemplateError> {
    let mut sections = merge::merge(fragments)?;
    set_default(&mut sections, STAGE_PARAMETER, settings.stage.as_str())?;
    // AWS says it as well, but only after everything was built and uploaded.
    local::template::check(&sections)?;
    Ok(Document::new(sections))
}

fn set_default(
    sections: &mut Value,
    parameter: &'static str,
    default: &str,
) -> Result<(), TemplateError> {
    let declaration = sections
        .get_mut("Parameters")
        .and_then(|parameters| parameters.get_mut(parameter))
        .and_then(Value::as_object_mut)
        .ok_or(TemplateError::MissingParameter { parameter })?;
    declaration.insert("Default".to_owned(), Value::from(default));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(stage: &str) -> TemplateSettings {
        TemplateSettings::embedded(stage.parse().unwrap())
    }

    #[test]
    fn the_stage_becomes_the_default_of_its_parameter() {
        let document = synthesize(&settings("prod")).unwrap();
        let parameter = &document.as_value()["Parameters"]["StageName"];
        assert_eq!(parameter["Default"], "prod");
        assert_eq!(parameter["Type"], "String");
    }

    #[test]
    fn the_same_settings_give_the_same_text() {
        let (one, two) = (
            synthesize(&settings("dev")).unwrap(),
            synthesize(&settings("dev")).unwrap(),
        );
        assert_eq!(one.to_yaml(), two.to_yaml());
        assert_eq!(one.to_json(), two.to_json());
    }

    /// CloudFormation gives back a question mark for anything else, and the template would never be
    /// found to be the one that is there.
    #[test]
    fn the_template_is_ascii() {
        assert!(synthesize(&settings("dev")).unwrap().to_yaml().is_ascii());
    }

    #[test]
    fn a_missing_stage_parameter_is_refused() {
        let fragments = [Fragment {
            file: "table.yaml",
            text: "Resources: {}",
        }];
        let error = assemble(&fragments, &settings("dev")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no fragment declares the parameter `StageName`"
        );
    }

    #[test]
    fn an_entry_without_a_type_a_name_of_nothing_and_a_circle_are_refused_before_anything_is_built()
    {
        let refused = |resources: &str| {
            let text =
                format!("Parameters:\n  StageName:\n    Type: String\nResources:\n{resources}");
            let fragments = [Fragment {
                file: "table.yaml",
                text: &text,
            }];
            assemble(&fragments, &settings("dev"))
                .unwrap_err()
                .to_string()
        };
        let error = refused("  One:\n    DependsOn: Two\n");
        assert_eq!(error, "`One` has no `Type`");
        let error = refused("  One:\n    Type: A\n    DependsOn: Two\n");
        assert!(error.contains("`One.DependsOn` refers to `Two`"), "{error}");
        let error = refused("  One:\n    Type: A\n    Properties:\n      Any: !GetAtt One.Arn\n");
        assert_eq!(error, "`One` needs `One`: none of them can be first");
    }

    #[test]
    fn only_a_protected_chats_table_outlives_its_stack() {
        let with = |protection| synthesize_protected(&settings("prod"), protection).unwrap();
        let off = with(Protection::Off);
        assert_eq!(off, synthesize(&settings("prod")).unwrap());
        let on = with(Protection::On);
        let table = &on.as_value()["Resources"]["ChatTable"];
        assert_eq!(table["DeletionPolicy"], "RetainExceptOnCreate");
        assert_eq!(table["UpdateReplacePolicy"], "Retain");
        assert_eq!(on.as_value()["Parameters"]["Protect"]["Default"], "on");
        // Nothing else differs, so that switching changes the table alone.
        let mut other = on.into_value();
        other["Resources"]["ChatTable"]["DeletionPolicy"] = "Delete".into();
        other["Resources"]["ChatTable"]["UpdateReplacePolicy"] = "Delete".into();
        other["Parameters"]["Protect"]["Default"] = "off".into();
        assert_eq!(other, *off.as_value());
    }

    #[test]
    fn the_stack_of_packages_is_no_part_of_the_chats() {
        assert!(artifacts().unwrap().contains("\n  ArtifactsBucketName:\n"));
        let chat = synthesize(&settings("dev")).unwrap();
        assert!(
            chat.as_value()["Resources"]
                .get("ArtifactsBucket")
                .is_none()
        );
    }

    #[test]
    fn sections_come_in_their_canonical_order() {
        let document = synthesize(&settings("dev")).unwrap();
        let sections: Vec<_> = document.as_value().as_object().unwrap().keys().collect();
        assert_eq!(
            sections,
            [
                "AWSTemplateFormatVersion",
                "Description",
                "Parameters",
                "Conditions",
                "Resources",
                "Outputs"
            ]
        );
    }
}
