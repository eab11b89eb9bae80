//! What the functions run: whether it is the package that they are to run, and if not, replacing it.

use std::time::Duration;

use futures_util::future::try_join_all;

use crate::cloud::{CloudError, Code, FunctionView, Functions, Update};
use crate::wait::Patience;

/// A change of a function's code takes seconds.
const UPDATE_LIMIT: Duration = Duration::from_mins(5);

/// How Lambda refuses a change while another one goes on.
const BUSY: &str = "ResourceConflictException";

/// Why a function does not run what it is to run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FunctionError {
    /// A call failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// Lambda could not make the change.
    #[error("the code of `{function}` could not be replaced: {reason}")]
    Failed {
        /// The function.
        function: String,
        /// In AWS's words.
        reason: String,
    },
    /// It takes longer than it ever should.
    #[error("the code of `{function}` is still being replaced after {}", humantime::format_duration(*.limit))]
    Deadline {
        /// The function.
        function: String,
        /// How long it was waited for.
        limit: Duration,
        /// The last call that failed while waiting.
        #[source]
        last: Option<Box<CloudError>>,
    },
    /// Somebody else has replaced it as well.
    #[error("`{function}` runs another package than the one that it was just given")]
    Overtaken {
        /// The function.
        function: String,
    },
}

impl FunctionError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Cloud(error) => error.hint(),
            Self::Failed { .. } | Self::Deadline { .. } => {
                "run the same command again; it goes on where it was".to_owned()
            }
            Self::Overtaken { .. } => {
                "somebody else deploys at the same time; run the same command again when they are \
                 done"
                    .to_owned()
            }
        }
    }
}

/// Those of the functions that run something else than `code`, or for another processor.
///
/// # Errors
/// [`FunctionError`], if AWS does not say.
pub(crate) async fn outdated(
    cloud: &impl Functions,
    names: &[String],
    code: &Code,
) -> Result<Vec<String>, FunctionError> {
    let views = names.iter().map(|name| async move {
        let view = cloud.function(name).await?;
        settled(cloud, name, view).await
    });
    let views = try_join_all(views).await?;
    let pairs = names.iter().zip(&views);
    let differing = pairs.filter(|(_, view)| !runs(view, code));
    Ok(differing.map(|(name, _)| name.clone()).collect())
}

/// Has all these functions run `code`, and waits until they do.
///
/// # Errors
/// [`FunctionError`], if one does not.
pub(crate) async fn replace(
    cloud: &impl Functions,
    names: &[String],
    code: &Code,
) -> Result<(), FunctionError> {
    let replaced = names.iter().map(|name| replace_one(cloud, name, code));
    try_join_all(replaced).await.map(drop)
}

async fn replace_one(cloud: &impl Functions, name: &str, code: &Code) -> Result<(), FunctionError> {
    let mut patience = patience();
    let begun = loop {
        match cloud.replace_code(name, code).await {
            Ok(view) => break view,
            Err(error) if is_busy(&error) => {
                if !patience.pause().await {
                    return Err(late(name, Some(error)));
                }
            }
            Err(error) => return Err(error.into()),
        }
    };
    let view = settled(cloud, name, begun).await?;
    match &view.update {
        Update::Failed(reason) => Err(FunctionError::Failed {
            function: name.to_owned(),
            reason: reason.clone(),
        }),
        _ if runs(&view, code) => Ok(()),
        _ => Err(FunctionError::Overtaken {
            function: name.to_owned(),
        }),
    }
}

/// The function once its last change is over, well or not.
async fn settled(
    cloud: &impl Functions,
    name: &str,
    mut view: FunctionView,
) -> Result<FunctionView, FunctionError> {
    let mut patience = patience();
    let mut last = None;
    while view.update == Update::InProgress {
        if !patience.pause().await {
            return Err(late(name, last));
        }
        match cloud.function(name).await {
            Ok(next) => view = next,
            Err(error) if error.is_passing() => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(view)
}

fn runs(view: &FunctionView, code: &Code) -> bool {
    view.update == Update::Done
        && view.sha256 == code.sha256
        && view.architecture == code.architecture
}

fn is_busy(error: &CloudError) -> bool {
    matches!(error, CloudError::Refused { code, .. } if code == BUSY)
}

fn patience() -> Patience {
    Patience::new(
        UPDATE_LIMIT,
        Duration::from_millis(200),
        Duration::from_secs(2),
    )
}

fn late(name: &str, last: Option<CloudError>) -> FunctionError {
    FunctionError::Deadline {
        function: name.to_owned(),
        limit: UPDATE_LIMIT,
        last: last.map(Box::new),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, VecDeque};

    use super::*;
    use crate::cloud::Invoked;

    /// Functions that answer what they are told to, the last answer again and again, and note what
    /// is replaced.
    #[derive(Default)]
    struct Fake {
        views: RefCell<BTreeMap<String, VecDeque<Result<FunctionView, CloudError>>>>,
        replies: RefCell<VecDeque<Result<FunctionView, CloudError>>>,
        replaced: RefCell<Vec<String>>,
    }

    impl Functions for Fake {
        async fn function(&self, name: &str) -> Result<FunctionView, CloudError> {
            let mut views = self.views.borrow_mut();
            let answers = views.get_mut(name).unwrap();
            if answers.len() > 1 {
                answers.pop_front().unwrap()
            } else {
                answers[0].clone()
            }
        }

        async fn replace_code(&self, name: &str, _: &Code) -> Result<FunctionView, CloudError> {
            self.replaced.borrow_mut().push(name.to_owned());
            self.replies.borrow_mut().pop_front().unwrap()
        }

        async fn invoke(&self, name: &str, _: String) -> Result<Invoked, CloudError> {
            panic!("`{name}` is not to be asked")
        }
    }

    impl Fake {
        fn answering(self, name: &str, answers: &[Result<FunctionView, CloudError>]) -> Self {
            let answers = answers.iter().cloned().collect();
            self.views.borrow_mut().insert(name.to_owned(), answers);
            self
        }

        fn replying(self, replies: &[Result<FunctionView, CloudError>]) -> Self {
            self.replies.borrow_mut().extend(replies.iter().cloned());
            self
        }
    }

    fn code() -> Code {
        Code {
            bucket: "bucket".to_owned(),
            key: "key".to_owned(),
            sha256: "new".to_owned(),
            architecture: "x86_64",
        }
    }

    fn view(sha256: &str, update: Update) -> FunctionView {
        FunctionView {
            sha256: sha256.to_owned(),
            architecture: "x86_64".to_owned(),
            update,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&it| it.to_owned()).collect()
    }

    fn refused(code: &str) -> CloudError {
        CloudError::of_answer("lambda:UpdateFunctionCode", code, "no")
    }

    #[tokio::test]
    async fn what_differs_in_code_or_processor_or_failed_is_outdated() {
        let arm = FunctionView {
            architecture: "arm64".to_owned(),
            ..view("new", Update::Done)
        };
        let failed = view("new", Update::Failed("no".to_owned()));
        let fake = Fake::default()
            .answering("same", &[Ok(view("new", Update::Done))])
            .answering("old", &[Ok(view("old", Update::Done))])
            .answering("arm", &[Ok(arm)])
            .answering("failed", &[Ok(failed)]);
        let names = names(&["same", "old", "arm", "failed"]);
        let outdated = outdated(&fake, &names, &code()).await.unwrap();
        assert_eq!(outdated, ["old", "arm", "failed"]);
    }

    #[tokio::test]
    async fn a_change_that_goes_on_is_waited_for_before_it_is_judged() {
        let unreachable = CloudError::Unreachable {
            call: "lambda:GetFunctionConfiguration",
            detail: "reset".to_owned(),
        };
        let fake = Fake::default().answering(
            "f",
            &[
                Ok(view("old", Update::InProgress)),
                Err(unreachable),
                Ok(view("new", Update::Done)),
            ],
        );
        let outdated = outdated(&fake, &names(&["f"]), &code()).await.unwrap();
        assert_eq!(outdated, [""; 0]);
    }

    #[tokio::test]
    async fn a_busy_function_is_asked_again_and_waited_for() {
        let fake = Fake::default()
            .replying(&[Err(refused(BUSY)), Ok(view("new", Update::InProgress))])
            .answering("f", &[Ok(view("new", Update::Done))]);
        replace(&fake, &names(&["f"]), &code()).await.unwrap();
        assert_eq!(*fake.replaced.borrow(), ["f", "f"]);
    }

    #[tokio::test]
    async fn a_change_that_fails_or_is_overtaken_says_so() {
        for (end, message) in [
            (
                view("new", Update::Failed("out of order".to_owned())),
                "the code of `f` could not be replaced: out of order",
            ),
            (
                view("other", Update::Done),
                "`f` runs another package than the one that it was just given",
            ),
        ] {
            let fake = Fake::default().replying(&[Ok(end)]);
            let error = replace(&fake, &names(&["f"]), &code()).await.unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let fake = Fake::default().replying(&[Err(refused("AccessDenied"))]);
        let error = replace(&fake, &names(&["f"]), &code()).await.unwrap_err();
        assert!(error.hint().contains("`lambda:UpdateFunctionCode`"));
    }
}
