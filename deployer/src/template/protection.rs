//! Whether a chat is protected against being lost, and what the template says for it.

use std::fmt;

use clap::ValueEnum;
use serde_json::Value;

/// Whether a chat is protected. The parameter `Protect` of the template has the same words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protection {
    /// The stack cannot be deleted, the table can be had as it was at any moment, and outlives the
    /// stack.
    On,
    /// What is deployed goes when it is destroyed.
    #[default]
    Off,
}

impl Protection {
    /// Whether it is on.
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// The parameter whose default is the protection that was asked for.
pub(super) const PARAMETER: &str = "Protect";

/// The type of what holds what people wrote.
pub(crate) const TABLE: &str = "AWS::DynamoDB::Table";

/// Has the tables outlive the stack, or not. `CloudFormation` takes no condition for these attributes,
/// without a macro that whoever deploys would have to be allowed.
///
/// A table that is made and undone at once, because something else fails, has nothing in it and goes:
/// `RetainExceptOnCreate`.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html>
pub(super) fn apply(sections: &mut Value, protection: Protection) {
    let (deletion, replacement) = match protection {
        Protection::On => ("RetainExceptOnCreate", "Retain"),
        Protection::Off => ("Delete", "Delete"),
    };
    let resources = sections
        .get_mut("Resources")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten();
    for (_, resource) in resources.filter(|(_, it)| it["Type"] == TABLE) {
        resource["DeletionPolicy"] = deletion.into();
        resource["UpdateReplacePolicy"] = replacement.into();
    }
}
