use std::cell::RefCell;
use std::collections::VecDeque;

use super::*;
use crate::cloud::{Code, FunctionView};

/// A function that answers what it is told to, and the last answer again and again; `None` is silence.
struct Fake {
    answers: RefCell<VecDeque<Option<Result<Invoked, CloudError>>>>,
    asked: RefCell<Vec<(String, String)>>,
}

impl Functions for Fake {
    async fn function(&self, name: &str) -> Result<FunctionView, CloudError> {
        panic!("of `{name}` nothing is to be known")
    }

    async fn replace_code(&self, name: &str, _: &Code) -> Result<FunctionView, CloudError> {
        panic!("`{name}` is to stay")
    }

    async fn invoke(&self, name: &str, event: String) -> Result<Invoked, CloudError> {
        self.asked.borrow_mut().push((name.to_owned(), event));
        let answer = {
            let mut answers = self.answers.borrow_mut();
            if answers.len() > 1 {
                answers.pop_front().unwrap()
            } else {
                answers[0].clone()
            }
        };
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn fake(answers: &[Option<Result<Invoked, CloudError>>]) -> Fake {
    Fake {
        answers: RefCell::new(answers.iter().cloned().collect()),
        asked: RefCell::default(),
    }
}

async fn tried(fake: &Fake, limit: Duration) -> Result<(), SiteError> {
    let function = "chat-dev-action";
    let action = Action {
        cloud: fake,
        function,
    };
    action.until_it_works(limit).await
}

fn answered(status: u16, frame: &Value) -> Invoked {
    let answer = json!({"statusCode": status, "headers": {}, "body": frame.to_string()});
    Invoked::Answered(answer.to_string())
}

fn not_connected() -> Invoked {
    let frame = json!({"type": "error", "code": "not-connected", "message": "no", "of": "ping"});
    answered(200, &frame)
}

const SOON: Duration = Duration::from_millis(20);

#[test]
fn only_who_has_looked_for_the_connection_and_found_none_is_believed() {
    assert!(judge("f", &not_connected()).is_ok());
    let pong = json!({"type": "pong", "room": "lobby", "seq": 1, "rev": 1});
    let try_again = json!({"type": "error", "code": "try-again"});
    let stranger = json!({"type": "error", "code": STRANGER});
    for other in [
        answered(200, &pong),
        answered(200, &try_again),
        answered(500, &stranger),
        answered(200, &json!({"type": "joined", "code": STRANGER})),
        answered(200, &json!(STRANGER)),
        Invoked::Answered(stranger.to_string()),
        Invoked::Answered(json!({"statusCode": 200}).to_string()),
        Invoked::Answered("null".to_owned()),
        Invoked::Answered(STRANGER.to_owned()),
        Invoked::Answered(String::new()),
    ] {
        let Invoked::Answered(answer) = &other else {
            panic!("{other:?}")
        };
        let expected = format!("the function `f` answers {answer}, and not `not-connected`");
        assert_eq!(judge("f", &other).unwrap_err().to_string(), expected);
    }
    let failed = Invoked::Failed("Runtime exited with error: exit status 1".to_owned());
    assert_eq!(
        judge("f", &failed).unwrap_err().to_string(),
        "the function `f` fails: Runtime exited with error: exit status 1"
    );
}

#[test]
fn a_long_answer_is_cut() {
    let long = "ä".repeat(TOLD_MAX + 1);
    assert_eq!(shortened(&long), "ä".repeat(TOLD_MAX) + "…");
    assert_eq!(shortened("short"), "short");
}

#[tokio::test]
async fn it_is_asked_by_its_name_for_nobodys_connection_until_it_answers() {
    let refused = CloudError::of_answer(CALL, "ResourceConflictException", "pending");
    let throttled = CloudError::of_answer(CALL, "TooManyRequestsException", "slow down");
    let fake = fake(&[
        Some(Err(refused)),
        Some(Err(throttled)),
        Some(Ok(Invoked::Failed("init".to_owned()))),
        Some(Ok(not_connected())),
    ]);
    tried(&fake, Duration::from_secs(10)).await.unwrap();
    let asked = fake.asked.take();
    assert_eq!(asked.len(), 4);
    for (name, event) in asked {
        assert_eq!(name, "chat-dev-action");
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["requestContext"]["connectionId"], "chatctl-verify");
        assert_eq!(event["body"], r#"{"type":"ping"}"#);
    }
}

const CALL: &str = "lambda:InvokeFunction";

#[tokio::test]
async fn what_the_last_try_said_is_told_when_time_is_up() {
    let unreachable = CloudError::Unreachable {
        call: CALL,
        detail: "reset".to_owned(),
    };
    for (answer, expected) in [
        (
            Some(Ok(Invoked::Failed("out of order".to_owned()))),
            "the function `chat-dev-action` fails: out of order",
        ),
        (
            Some(Err(unreachable)),
            "`lambda:InvokeFunction`: AWS cannot be reached: reset",
        ),
        (None, "the action function did not answer within 20ms"),
    ] {
        let error = tried(&fake(&[answer]), SOON).await.unwrap_err();
        let SiteError::NotWorking { last, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(last.to_string(), expected);
    }
}

#[tokio::test]
async fn who_may_not_ask_is_told_at_once_which_permission_is_missing() {
    let denied = CloudError::of_answer(CALL, "AccessDeniedException", "no");
    let fake = fake(&[Some(Err(denied))]);
    let error = tried(&fake, Duration::from_hours(1)).await.unwrap_err();
    assert!(
        matches!(error, SiteError::Cloud(CloudError::Denied { .. })),
        "{error}"
    );
    assert!(
        error.hint().contains("`lambda:InvokeFunction`"),
        "{}",
        error.hint()
    );
    assert_eq!(fake.asked.borrow().len(), 1);
}
