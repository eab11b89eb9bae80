//! What the cloud refuses, told apart by what the user can do about it. Pure.

/// Why a call of the cloud failed. `call` is the name of the permission that it needs, such as
/// `cloudformation:CreateChangeSet`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloudError {
    /// There is nothing to sign a call with.
    #[error("there are no AWS credentials: {detail}")]
    NoCredentials {
        /// What was looked at.
        detail: String,
    },
    /// No Region was chosen.
    #[error("no AWS Region is set")]
    NoRegion,
    /// The credentials were good once.
    #[error("the AWS credentials have expired: {detail}")]
    Expired {
        /// In AWS's words.
        detail: String,
    },
    /// The credentials are not known, or not in this Region.
    #[error("`{call}`: AWS does not accept these credentials: {detail}")]
    Unrecognized {
        /// What was called.
        call: &'static str,
        /// In AWS's words.
        detail: String,
    },
    /// The caller may not do this.
    #[error("the permission `{action}` is missing: {detail}")]
    Denied {
        /// The missing permission.
        action: String,
        /// In AWS's words.
        detail: String,
    },
    /// Something is in another Region.
    #[error("`{call}`: what is asked for is in another Region: {detail}")]
    WrongRegion {
        /// What was called.
        call: &'static str,
        /// In AWS's words.
        detail: String,
    },
    /// Too many calls, even after waiting and trying again.
    #[error("`{call}`: AWS asks to slow down: {detail}")]
    Throttled {
        /// What was called.
        call: &'static str,
        /// In AWS's words.
        detail: String,
    },
    /// No answer.
    #[error("`{call}`: AWS cannot be reached: {detail}")]
    Unreachable {
        /// What was called.
        call: &'static str,
        /// What the connection said.
        detail: String,
    },
    /// Any other refusal.
    #[error("`{call}`: {detail} (`{code}`)")]
    Refused {
        /// What was called.
        call: &'static str,
        /// AWS's code.
        code: String,
        /// In AWS's words.
        detail: String,
    },
}

/// How the SDK begins to say that it found no credentials.
const NOT_ENABLED: &str = "the credential provider was not enabled: ";

/// What was there a moment ago, or was not.
const OVERTAKEN: [&str; 4] = [
    "AlreadyExistsException",
    "ChangeSetNotFound",
    "NoSuchBucket",
    "NoSuchDistribution",
];

impl CloudError {
    /// Reads AWS's answer.
    pub(crate) fn of_answer(call: &'static str, code: &str, message: &str) -> Self {
        let detail = message.to_owned();
        match code {
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                Self::Expired { detail }
            }
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "OptInRequired"
            | "AuthFailure" => Self::Unrecognized { call, detail },
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => Self::Denied {
                action: denied_action(message).unwrap_or(call).to_owned(),
                detail,
            },
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => Self::WrongRegion { call, detail },
            "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "SlowDown"
            | "RequestLimitExceeded" => Self::Throttled { call, detail },
            _ => Self::Refused {
                call,
                code: code.to_owned(),
                detail,
            },
        }
    }

    /// Reads why there are no credentials.
    pub(crate) fn of_credentials(detail: &str) -> Self {
        // What follows is a list of everything that was looked at.
        let (detail, _) = detail.split_once(". Attempted:").unwrap_or((detail, ""));
        let detail = detail
            .strip_prefix(NOT_ENABLED)
            .unwrap_or(detail)
            .to_owned();
        if detail.to_lowercase().contains("expired") {
            Self::Expired { detail }
        } else {
            Self::NoCredentials { detail }
        }
    }

    /// Whether the same call may well succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Throttled { .. })
    }

    /// Whether what was asked for is not there: a function, a bucket.
    pub(crate) fn is_absence(&self) -> bool {
        let Self::Refused { code, .. } = self else {
            return false;
        };
        ["ResourceNotFoundException", "NoSuchBucket"].contains(&code.as_str())
    }

    /// Whether the stack is not what it was a moment ago, because somebody else works on it, too.
    pub(crate) fn is_overtaken(&self) -> bool {
        let Self::Refused { code, detail, .. } = self else {
            return false;
        };
        match code.as_str() {
            "ChangeSetNotFound"
            | "ChangeSetNotFoundException"
            | "InvalidChangeSetStatus"
            | "InvalidChangeSetStatusException"
            | "AlreadyExistsException"
            | "OperationInProgressException" => true,
            "ValidationError" => detail.contains("_IN_PROGRESS") || is_of_no_stack(detail),
            _ => false,
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoCredentials { .. } => "run `aws configure` or `aws sso login`, or set \
                 `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or name a profile with \
                 `--profile`; `chatctl dev` runs the same chat on this machine and needs none"
                .to_owned(),
            Self::NoRegion => "name one with `--region` or `AWS_REGION`, such as `us-east-1`, or \
                 give the profile one with `aws configure`"
                .to_owned(),
            Self::Expired { .. } => {
                "sign in again (`aws sso login`, or new temporary credentials) \
                 and run the same command; it goes on where it was"
                    .to_owned()
            }
            Self::Unrecognized { .. } => "check `--profile` and the credentials, that this \
                 machine's clock is right, and that the account has enabled the Region"
                .to_owned(),
            Self::Denied { action, .. } => {
                let policy = if is_for_looking(action) {
                    "operator"
                } else {
                    "deployer"
                };
                format!(
                    "ask whoever manages the account to allow `{action}`, then run the same command \
                     again; `chatctl synth --{policy}-policy` prints all that is needed"
                )
            }
            Self::WrongRegion { .. } => {
                "name the Region of the first deploy with `--region`".to_owned()
            }
            Self::Throttled { .. } => {
                "wait a minute and run the same command again; it goes on where it was".to_owned()
            }
            Self::Unreachable { .. } => "check the network, `HTTPS_PROXY`, and that `--region` is \
                 a Region of AWS"
                .to_owned(),
            Self::Refused { code, .. } if OVERTAKEN.contains(&code.as_str()) => {
                "somebody else is at work on the same chat: wait until they are done, then run the \
                 same command again"
                    .to_owned()
            }
            Self::Refused { code, detail, .. } if code.starts_with("InsufficientCapabilities") => {
                if detail.contains("AUTO_EXPAND") {
                    "take the macro (`Fn::Transform`) out of the template: `chatctl` has none run"
                        .to_owned()
                } else {
                    "leave out the name of the role, policy or user: `chatctl` has CloudFormation \
                     make only those that it names itself"
                        .to_owned()
                }
            }
            Self::Refused { detail, .. } if detail.contains("TerminationProtection") => {
                "the stack is protected against deletion, perhaps by hand: \
                 `chatctl deploy --protect off` lifts that, and so does the CloudFormation console"
                    .to_owned()
            }
            Self::Refused { .. } => {
                "correct what AWS complains about and run the same command again".to_owned()
            }
        }
    }
}

/// Whether an answer says that there is no such stack: `Stack [chat-dev] does not exist`, `Stack with id
/// chat-dev does not exist`. Much else may not exist: what a parameter names, an object, an export.
fn is_of_no_stack(message: &str) -> bool {
    let rest = ["Stack [", "Stack with id "]
        .into_iter()
        .find_map(|it| message.strip_prefix(it));
    let name = rest.and_then(|it| {
        it.strip_suffix('.')
            .unwrap_or(it)
            .strip_suffix(" does not exist")
    });
    name.is_some_and(|it| !it.is_empty() && !it.contains(char::is_whitespace))
}

/// Whether nothing but the verbs that look asks for an action.
fn is_for_looking(action: &str) -> bool {
    action.starts_with("logs:") || action.starts_with("cloudwatch:") || action.contains("Drift")
}

/// The action that an answer names: `… is not authorized to perform: s3:PutObject on resource …`.
pub(crate) fn denied_action(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let action = rest
        .split_whitespace()
        .next()?
        .trim_end_matches(['.', ',', ')']);
    action.contains(':').then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "cloudformation:CreateChangeSet";

    #[test]
    fn each_refusal_comes_with_its_remedy() {
        for (code, remedy) in [
            ("ExpiredToken", "sign in again"),
            ("ExpiredTokenException", "sign in again"),
            ("InvalidClientTokenId", "check `--profile`"),
            ("AccessDenied", "allow `cloudformation:CreateChangeSet`"),
            ("PermanentRedirect", "`--region`"),
            ("Throttling", "wait a minute"),
            ("ValidationError", "correct what AWS complains about"),
            ("NoSuchBucket", "somebody else is at work on the same chat"),
        ] {
            let error = CloudError::of_answer(CALL, code, "no");
            assert!(error.hint().contains(remedy), "{code}: {}", error.hint());
        }
    }

    #[test]
    fn a_capability_that_is_not_asked_for_comes_with_what_to_leave_out() {
        for code in [
            "InsufficientCapabilities",
            "InsufficientCapabilitiesException",
        ] {
            for (capability, remedy) in [
                ("CAPABILITY_NAMED_IAM", "leave out the name of the role"),
                ("CAPABILITY_AUTO_EXPAND", "`Fn::Transform`"),
            ] {
                let message = format!("Requires capabilities : [{capability}]");
                let hint = CloudError::of_answer(CALL, code, &message).hint();
                assert!(hint.contains(remedy), "{message}: {hint}");
            }
        }
    }

    #[test]
    fn a_denial_names_the_action_that_aws_names_and_else_the_one_of_the_call() {
        let message = "User: arn:aws:iam::1:user/ann is not authorized to perform: iam:CreateRole on resource: x";
        for (message, action) in [(message, "iam:CreateRole"), ("Access Denied", CALL)] {
            let error = CloudError::of_answer(CALL, "AccessDenied", message);
            assert_eq!(
                error.to_string(),
                format!("the permission `{action}` is missing: {message}")
            );
        }
    }

    #[test]
    fn a_stack_that_somebody_else_changed_meanwhile_is_known_from_a_refusal() {
        for (code, message, is_overtaken) in [
            ("ChangeSetNotFound", "ChangeSet [x] does not exist", true),
            (
                "InvalidChangeSetStatus",
                "cannot be executed in its current status of [EXECUTE_COMPLETE]",
                true,
            ),
            (
                "AlreadyExistsException",
                "Stack [chat-dev] already exists and cannot be created again",
                true,
            ),
            (
                "ValidationError",
                "Stack:id is in CREATE_IN_PROGRESS state and can not be updated.",
                true,
            ),
            ("ValidationError", "Stack [chat-dev] does not exist", true),
            (
                "ValidationError",
                "Stack with id arn:aws:cloudformation:us-east-1:1:stack/chat-dev/1 does not exist",
                true,
            ),
            (
                "ValidationError",
                "Parameter validation failed: parameter value vpc-1 for parameter name VpcId does \
                 not exist. Rollback requested by user.",
                false,
            ),
            (
                "ValidationError",
                "S3 error: The specified key does not exist.",
                false,
            ),
            (
                "ValidationError",
                "Resource [Table] does not exist in stack [chat-dev]",
                false,
            ),
            (
                "ValidationError",
                "Stack [chat-dev] names the export [x], which does not exist",
                false,
            ),
            (
                "ValidationError",
                "Template format error: unresolved",
                false,
            ),
            ("InsufficientCapabilities", "no", false),
            ("AccessDenied", "does not exist", false),
        ] {
            let error = CloudError::of_answer(CALL, code, message);
            assert_eq!(error.is_overtaken(), is_overtaken, "{code}: {message}");
        }
    }

    #[test]
    fn without_credentials_the_local_stack_is_offered() {
        let error = CloudError::of_credentials(
            "the credential provider was not enabled: no credentials found in chain. Attempted:\n  a",
        );
        assert_eq!(
            error.to_string(),
            "there are no AWS credentials: no credentials found in chain"
        );
        assert!(error.hint().contains("`chatctl dev`"), "{}", error.hint());
        let error = CloudError::of_credentials("the SSO token has Expired");
        assert!(matches!(error, CloudError::Expired { .. }), "{error:?}");
    }
}
