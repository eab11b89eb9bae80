//! What `revise` and `at_rest` see of a stack that somebody else is at.

use std::cell::RefCell;

use super::*;

/// Revises, and gives the states in which it was asked what the stack is to become.
async fn revised(fake: &Fake) -> (Result<Applied, StackError>, Vec<String>) {
    let seen = RefCell::new(Vec::new());
    let become_what = async |stack: Option<&StackView>| {
        let status = stack.map_or("none", |it| it.status.as_str());
        seen.borrow_mut().push(status.to_owned());
        Ok::<_, StackError>(wanted())
    };
    let (terms, mut output) = (Terms::default(), Output::to_nobody());
    let revised = revise(fake, (NAME, "chat"), become_what, &terms, &mut output).await;
    (revised.map(|(applied, _)| applied), seen.into_inner())
}

async fn rest(fake: &Fake) -> Result<Rest, StackError> {
    at_rest(fake, NAME, "chat", &mut Output::to_nobody()).await
}

#[tokio::test]
async fn what_a_stack_is_to_become_is_asked_for_once_nothing_goes_on_with_it() {
    for (status, then) in [
        ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
        ("UPDATE_COMPLETE", "UPDATE_COMPLETE"),
    ] {
        let (revised, seen) = revised(&Fake::new(Some(status))).await;
        assert!(revised.unwrap().is_changed, "{status}");
        assert_eq!(seen, [then]);
    }
}

#[tokio::test]
async fn it_is_asked_for_again_when_somebody_else_was_faster() {
    for call in [
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
    ] {
        let fake = Fake::new(Some("UPDATE_COMPLETE"));
        fake.rival.set(Some((call, "executes")));
        let (revised, seen) = revised(&fake).await;
        assert!(revised.unwrap().is_changed, "{call}");
        // In between a look may still show the state of before.
        let ends = (seen[0].as_str(), seen[seen.len() - 1].as_str());
        assert_eq!(ends, ("UPDATE_COMPLETE", "CREATE_COMPLETE"), "{call}");
    }
}

#[tokio::test]
async fn what_keeps_it_from_being_known_is_the_end_and_nothing_is_proposed() {
    let fake = Fake::new(Some("UPDATE_COMPLETE"));
    let unknown = async |_: Option<&StackView>| Err(unexplained("x", None));
    let (terms, mut output) = (Terms::default(), Output::to_nobody());
    let revised = revise(&fake, (NAME, "chat"), unknown, &terms, &mut output).await;
    assert!(matches!(revised, Err(StackError::Unexplained { .. })));
    assert_eq!((fake.calls(), fake.change_sets_left()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_stack_is_waited_for_and_not_mended_before_anything_is_gone_back_from() {
    let unmade = |status: &str| Rest::Unmade(Status::new(status));
    for (status, expected) in [
        (None, Rest::Nothing),
        (Some("CREATE_COMPLETE"), Rest::There),
        (Some("UPDATE_FAILED"), Rest::There),
        (Some("UPDATE_ROLLBACK_FAILED"), Rest::There),
        (Some("UPDATE_IN_PROGRESS"), Rest::There),
        (Some("CREATE_IN_PROGRESS"), Rest::There),
        (Some("DELETE_IN_PROGRESS"), Rest::Nothing),
        (Some("ROLLBACK_IN_PROGRESS"), unmade("ROLLBACK_COMPLETE")),
        (Some("ROLLBACK_COMPLETE"), unmade("ROLLBACK_COMPLETE")),
        (Some("REVIEW_IN_PROGRESS"), unmade("REVIEW_IN_PROGRESS")),
        (Some("DELETE_FAILED"), unmade("DELETE_FAILED")),
    ] {
        let fake = Fake::new(status);
        assert_eq!(rest(&fake).await.unwrap(), expected, "{status:?}");
        assert!(fake.calls().is_empty(), "{status:?}: {:?}", fake.calls());
    }
    let mut foreign = Fake::new(Some("UPDATE_IN_PROGRESS"));
    foreign.owner = None;
    let refused = rest(&foreign).await.unwrap_err();
    assert!(matches!(refused, StackError::Foreign { .. }), "{refused}");
}
