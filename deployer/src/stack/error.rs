//! Why a stack is not as it is wanted, and what the user can do about it.

use std::time::Duration;

use super::Status;
use super::cause;
use crate::cloud::CloudError;
use crate::output::OutputError;
use crate::protection;

/// Why a stack is not as it is wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    /// A call failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// What is going on cannot be told.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A resource could not be made, changed or deleted.
    #[error(transparent)]
    Failed(#[from] Box<Failed>),
    /// It failed without telling why.
    #[error("the stack `{stack}` is in {status}")]
    Unexplained {
        /// The stack.
        stack: String,
        /// Where it ended.
        status: Status,
    },
    /// It takes longer than it ever should.
    #[error("the stack `{stack}` is still in {status} after {}", humantime::format_duration(*.limit))]
    Deadline {
        /// The stack.
        stack: String,
        /// What it is doing.
        status: String,
        /// How long it was waited for.
        limit: Duration,
        /// The last call that failed while waiting.
        #[source]
        last: Option<Box<CloudError>>,
    },
    /// It is somebody else's stack.
    #[error(
        "the stack `{stack}` was not made by this program: it lacks the tag `chatctl` with the value `{owner}`"
    )]
    Foreign {
        /// The stack.
        stack: String,
        /// What would be written on it.
        owner: &'static str,
    },
    /// No request takes the template, and there is no bucket to put it into.
    #[error(
        "the template of `{stack}` has {bytes} bytes, more than a request takes, and the bucket of packages, \
         which it would go through, is not there"
    )]
    TooLarge {
        /// The stack.
        stack: String,
        /// What it comes to.
        bytes: usize,
    },
    /// AWS does not take the change.
    #[error("AWS refuses the change of `{stack}`")]
    Rejected {
        /// The stack.
        stack: String,
        /// What it complains about.
        #[source]
        reason: Reason,
    },
    /// The update failed, was left so, and AWS neither goes on with it nor undoes it.
    #[error("the stack `{stack}` is in UPDATE_FAILED, and AWS does not undo what failed")]
    Stuck {
        /// The stack.
        stack: String,
        /// What it says.
        #[source]
        reason: CloudError,
    },
    /// It has to be deleted to start over, and somebody has forbidden that.
    #[error("the stack `{stack}` is in {status} and protected against deletion: nothing was done")]
    Protected {
        /// The stack.
        stack: String,
        /// What it is in.
        status: Status,
        /// Where it is.
        region: String,
    },
    /// It has to be deleted to start over, and what people wrote would be left behind.
    #[error(
        "the stack `{stack}` is in {status}: to start over would leave its table behind, with all \
         messages, and nothing was done"
    )]
    LeavesTable {
        /// The stack.
        stack: String,
        /// What it is in.
        status: Status,
        /// Its stage.
        stage: String,
    },
    /// The change would take people's data.
    #[error("the change would {action} `{resource}` ({kind}), and what is in it would be lost")]
    LosesData {
        /// What would be done.
        action: &'static str,
        /// The resource.
        resource: String,
        /// Its type.
        kind: String,
    },
}

impl StackError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::Protected { stack, region, .. } => {
                return format!(
                    "`chatctl deploy --protect off` lifts that and starts over; `{}` lifts it alone",
                    protection::lifting(stack, region)
                );
            }
            Self::LeavesTable { stage, .. } => {
                return format!(
                    "`chatctl destroy --stage {stage} --keep-table` ends the deletion and tells what the \
                     table is called; docs/protection.md tells how to go back to it"
                );
            }
            Self::Cloud(error) => return error.hint(),
            Self::Failed(failed) => return cause::hint(&failed.reason.0),
            Self::Rejected { reason, .. } => return cause::hint(&reason.0),
            Self::TooLarge { .. } => "`chatctl deploy` makes the bucket; nothing was done",
            Self::Output(_) => "AWS goes on: run the same command again",
            Self::Unexplained { .. } => {
                "look at the stack's events in the CloudFormation console, then run the same \
                 command again"
            }
            Self::Deadline { .. } => "AWS goes on: run the same command again to go on waiting",
            Self::Foreign { .. } => {
                "nothing was done; choose another name with `--stage`, or another Region or account"
            }
            Self::Stuck { .. } => {
                "deploy once what was deployed before, which AWS takes, and then the change; or \
                 begin anew: `chatctl destroy`, then `chatctl deploy`"
            }
            Self::LosesData { .. } => {
                "nothing was done; if that is meant, run it again with `--allow-replacement`, or \
                 without `--yes` on a terminal to be asked"
            }
        };
        hint.to_owned()
    }
}

/// The resource that failed first.
#[derive(Debug, thiserror::Error)]
#[error("`{resource}` ({kind}) failed, and the stack `{stack}` is in {status}")]
pub(crate) struct Failed {
    /// The stack.
    pub(super) stack: String,
    /// Where it ended.
    pub(super) status: Status,
    /// The resource's name in the template.
    pub(super) resource: String,
    /// Its type.
    pub(super) kind: String,
    /// Why.
    #[source]
    pub(super) reason: Reason,
}

/// A reason in AWS's words, on one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Reason(pub(super) String);

impl Reason {
    pub(super) fn new(text: &str) -> Self {
        let words: Vec<_> = text.split_whitespace().collect();
        Self(words.join(" "))
    }
}
