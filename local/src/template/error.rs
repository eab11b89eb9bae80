//! Why a template does not run here. Every variant names the place in the template.

/// A template that the local stack does not run, rather than running it differently from the cloud.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A section such as `Transform`.
    #[error(
        "the local stack does not know the template section `{section}`; hint: remove it, or deploy to AWS"
    )]
    UnknownSection {
        /// Its name.
        section: String,
    },
    /// A resource type without a local counterpart.
    #[error(
        "`{resource}` is an `{kind}`, which the local stack does not know; hint: remove it, or deploy to AWS"
    )]
    UnknownType {
        /// The logical id.
        resource: String,
        /// The resource type.
        kind: String,
    },
    /// A property or attribute that would be ignored, is missing, or has the wrong type.
    #[error("`{place}` does not suit the local stack: {problem}")]
    Unsupported {
        /// Logical id and property.
        place: String,
        /// What is wrong, or not known here.
        problem: String,
    },
    /// An intrinsic function that is not known here.
    #[error("`{place}` uses `{function}`, which the local stack does not know")]
    UnknownIntrinsic {
        /// Logical id and property.
        place: String,
        /// The function.
        function: String,
    },
    /// A reference to nothing.
    #[error(
        "`{place}` refers to `{target}`, which is neither a parameter nor a resource with such a value"
    )]
    Dangling {
        /// Logical id and property.
        place: String,
        /// What it refers to.
        target: String,
    },
    /// A parameter without a value.
    #[error("the parameter `{parameter}` has neither a value nor a default")]
    MissingParameter {
        /// Its name.
        parameter: String,
    },
    /// Something that a WebSocket API cannot be without, or has twice.
    #[error(
        "the template has {found} resources of type `{kind}`, and the local stack runs exactly one"
    )]
    NotExactlyOne {
        /// The resource type.
        kind: &'static str,
        /// How many there are.
        found: usize,
    },
    /// A function that nothing here would ever invoke.
    #[error("no route leads to the function `{function}`, so the local stack would never run it")]
    Unrouted {
        /// Its logical id.
        function: String,
    },
}

impl TemplateError {
    pub(super) fn unsupported(place: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Unsupported {
            place: place.into(),
            problem: problem.to_string(),
        }
    }
}
