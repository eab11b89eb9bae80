//! Why a template does not run here. Every variant names the place in the template.

/// A template that the local stack does not run, rather than running it differently from the cloud.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A section such as `Transform`.
    #[error("the local stack does not know the template section `{section}`")]
    UnknownSection {
        /// Its name.
        section: String,
    },
    /// A resource type without a local counterpart.
    #[error("`{resource}` is an `{kind}`, which the local stack does not know")]
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
    /// An entry that CloudFormation would not take.
    #[error("`{place}` {problem}")]
    Malformed {
        /// Section and name.
        place: String,
        /// What is wrong.
        problem: String,
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
    /// A condition that there is not.
    #[error("`{place}` depends on the condition `{condition}`, which is not there")]
    UnknownCondition {
        /// Logical id and property, or output.
        place: String,
        /// The condition.
        condition: String,
    },
    /// Resources, or conditions, that wait for each other.
    #[error("{}: none of them can be first", waits(.path))]
    Circular {
        /// From one of them back to it.
        path: Vec<String>,
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

fn waits(path: &[String]) -> String {
    let pairs = path.windows(2);
    let pairs = pairs.map(|pair| format!("`{}` needs `{}`", pair[0], pair[1]));
    pairs.collect::<Vec<_>>().join(", ")
}

impl TemplateError {
    pub(super) fn unsupported(place: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Unsupported {
            place: place.into(),
            problem: problem.to_string(),
        }
    }
}
