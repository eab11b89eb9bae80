//! Templates that no request takes.

use super::*;
use crate::cloud::Aside;
use crate::stack::sending::TEMPLATE_BYTES_MAX;

/// One whose template has so many bytes.
fn of_bytes(bytes: usize) -> Wanted {
    Wanted {
        template: "x".repeat(bytes),
        aside: Some(Aside {
            bucket: "packages".to_owned(),
            prefix: "releases/dev/.template-".to_owned(),
        }),
        ..wanted()
    }
}

async fn apply_to(fake: &Fake, wanted: &Wanted) -> Result<Applied, StackError> {
    let (terms, mut output) = (Terms::default(), Output::to_nobody());
    apply(fake, wanted, &terms, &Losses::Refused, &mut output).await
}

fn objects(fake: &Fake) -> Vec<String> {
    fake.objects.borrow().keys().cloned().collect()
}

#[tokio::test]
async fn a_template_goes_in_the_request_as_long_as_one_takes_it_and_through_the_bucket_beyond() {
    let fake = Fake::new(None);
    assert!(apply_to(&fake, &of_bytes(TEMPLATE_BYTES_MAX)).await.is_ok());
    assert_eq!(fake.calls(), ["execute"]);

    let fake = Fake::new(None);
    apply_to(&fake, &of_bytes(TEMPLATE_BYTES_MAX + 1))
        .await
        .unwrap();
    assert_eq!(fake.calls(), ["put", "remove", "execute"]);
    assert_eq!(objects(&fake), [""; 0]);
}

#[tokio::test]
async fn nothing_is_left_of_it_whatever_becomes_of_the_change_set() {
    let large = of_bytes(TEMPLATE_BYTES_MAX + 1);
    for call in [
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
    ] {
        let fake = Fake::new(Some("UPDATE_COMPLETE"));
        fake.fail(call, 1, "ValidationError", "no");
        assert!(apply_to(&fake, &large).await.is_err(), "{call}");
        assert_eq!(objects(&fake), [""; 0], "{call}");
    }

    let fake = Fake::new(Some("UPDATE_COMPLETE"));
    let existing = fake.find(NAME).await.unwrap();
    let compared = compare(&fake, &large, existing.as_ref()).await.unwrap();
    assert!(matches!(compared, Comparison::Changes(_)), "{compared:?}");
    assert_eq!(fake.calls(), ["put", "remove", "discard"]);
    assert_eq!(objects(&fake), [""; 0]);
}

#[tokio::test]
async fn each_try_has_an_object_of_its_own_and_one_that_stays_is_in_nobodys_way() {
    let large = of_bytes(TEMPLATE_BYTES_MAX + 1);
    let fake = Fake::new(Some("UPDATE_COMPLETE"));
    fake.fail("s3:DeleteObject", 2, "AccessDenied", "no");
    for _ in 0..2 {
        apply_to(&fake, &large).await.unwrap();
    }
    let left = objects(&fake);
    let is_meant = |it: &String| it.starts_with("packages/releases/dev/.template-chatctl-");
    assert!(left.len() == 2 && left.iter().all(is_meant), "{left:?}");
}

#[tokio::test]
async fn where_there_is_no_bucket_for_it_that_is_said_and_nothing_is_asked() {
    let nowhere = Wanted {
        aside: None,
        ..of_bytes(TEMPLATE_BYTES_MAX + 1)
    };
    let fake = Fake::new(Some("UPDATE_COMPLETE"));
    let error = apply_to(&fake, &nowhere).await.unwrap_err();
    assert!(
        matches!(error, StackError::TooLarge { bytes: 51_201, .. }),
        "{error:?}"
    );
    assert!(
        error.hint().contains("`chatctl deploy`"),
        "{}",
        error.hint()
    );
    assert_eq!(fake.change_sets_left(), 0);
}
