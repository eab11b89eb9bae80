//! What `apply`, `delete` and `compare` do, and what people read of it, on a CloudFormation whose
//! behaviour is written down in `tests/fake-cloudformation.md`.

mod fake;
mod large;
mod revised;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::*;
use crate::cloud::{Action, Sent, Stacks};
use crate::error::Error;
use crate::protection;
use crate::template::Protection;
use fake::{Described, Fake, NAME, change};

/// What people read, without the times.
#[derive(Clone, Default)]
struct Reader(Arc<Mutex<Vec<u8>>>);

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Reader {
    fn output(&self, answers: Option<Vec<&'static str>>) -> Output {
        Output::to_test(self.clone(), answers)
    }

    /// The lines that tell more than that a resource is under way or done.
    fn text(&self) -> String {
        let text = self.0.lock().unwrap().clone();
        let lines = String::from_utf8(text).unwrap();
        let lines = anstream::adapter::strip_str(&lines).to_string();
        let lines = lines.lines().filter_map(|line| {
            let line = match line.trim_start().split_once(" s  ") {
                Some((time, rest)) if time.bytes().all(|it| it.is_ascii_digit()) => rest,
                _ => line,
            };
            let is_usual = line.contains("_IN_PROGRESS ") || line.contains("_COMPLETE ");
            let is_event = line.ends_with(')') && !line.starts_with("  ") && is_usual;
            (!is_event).then_some(line.to_owned() + "\n")
        });
        lines.collect()
    }
}

fn wanted() -> Wanted {
    Wanted {
        name: NAME.to_owned(),
        template: String::new(),
        parameters: Vec::new(),
        owner: "chat",
        tags: Vec::new(),
        aside: None,
    }
}

async fn applied(fake: &Fake, losses: Losses) -> Result<Applied, StackError> {
    let mut output = Output::to_nobody();
    apply(fake, &wanted(), &Terms::default(), &losses, &mut output).await
}

/// Applies, and gives what people read, a failure included.
async fn read(fake: &Fake) -> (bool, String) {
    read_with(fake, &Terms::default(), &Losses::Refused, None).await
}

async fn read_with(
    fake: &Fake,
    terms: &Terms,
    losses: &Losses,
    answers: Option<Vec<&'static str>>,
) -> (bool, String) {
    let reader = Reader::default();
    let mut output = reader.output(answers);
    let outcome = apply(fake, &wanted(), terms, losses, &mut output).await;
    let is_good = outcome.is_ok();
    if let Err(error) = outcome {
        output.error(&Error::from(error));
    }
    output.finish();
    (is_good, reader.text())
}

/// Deletes, and gives what people read.
async fn read_deletion(fake: &Fake) -> (bool, String) {
    let reader = Reader::default();
    let mut output = reader.output(None);
    let outcome = delete(fake, NAME, "chat", &Terms::default(), &mut output).await;
    let is_good = outcome.is_ok();
    if let Err(error) = outcome {
        output.error(&Error::from(error));
    }
    output.finish();
    (is_good, reader.text())
}

const ADD: &str = "  + add          ChatTable (AWS::DynamoDB::Table)\n";

/// What each state is worth to a deploy: the calls that change something, and what people read of it.
const STATES: [(Option<&str>, &[&str], &str); 15] = [
    (None, &["execute"], ""),
    (Some("CREATE_COMPLETE"), &["execute"], ""),
    (Some("UPDATE_COMPLETE"), &["execute"], ""),
    (Some("UPDATE_ROLLBACK_COMPLETE"), &["execute"], ""),
    (
        Some("REVIEW_IN_PROGRESS"),
        &["execute"],
        "`chat-dev` was begun and never made: starting over\n",
    ),
    (
        Some("CREATE_IN_PROGRESS"),
        &["execute"],
        "`chat-dev` is in CREATE_IN_PROGRESS: waiting for its end\n",
    ),
    (
        Some("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        &["execute"],
        "`chat-dev` is in UPDATE_COMPLETE_CLEANUP_IN_PROGRESS: waiting for its end\n",
    ),
    (
        Some("ROLLBACK_IN_PROGRESS"),
        &["empty", "delete", "execute"],
        "`chat-dev` is in ROLLBACK_IN_PROGRESS: waiting for its end\n\
         CREATE_FAILED       ChatTable (AWS::DynamoDB::Table): the failure of before\n\
         `chat-dev` is in ROLLBACK_COMPLETE (ChatTable: the failure of before): deleting it to start \
         over\n\
         bucket `bucket` emptied, 3 versions and delete markers\n",
    ),
    (
        Some("DELETE_IN_PROGRESS"),
        &["execute"],
        "`chat-dev` is in DELETE_IN_PROGRESS: waiting for its end\n",
    ),
    (
        Some("CREATE_FAILED"),
        &["empty", "delete", "execute"],
        "`chat-dev` is in CREATE_FAILED (ChatTable: the failure of before): deleting it to start over\n\
         bucket `bucket` emptied, 3 versions and delete markers\n",
    ),
    (
        Some("ROLLBACK_COMPLETE"),
        &["empty", "delete", "execute"],
        "`chat-dev` is in ROLLBACK_COMPLETE (ChatTable: the failure of before): deleting it to start \
         over\n\
         bucket `bucket` emptied, 3 versions and delete markers\n",
    ),
    (
        Some("ROLLBACK_FAILED"),
        &["empty", "delete", "execute"],
        "`chat-dev` is in ROLLBACK_FAILED (ChatTable: the failure of before): deleting it to start \
         over\n\
         bucket `bucket` emptied, 3 versions and delete markers\n",
    ),
    (
        Some("DELETE_FAILED"),
        &["empty", "delete", "execute"],
        "`chat-dev` is in DELETE_FAILED (ChatTable: the failure of before): deleting it to start over\n\
         bucket `bucket` emptied, 3 versions and delete markers\n",
    ),
    (
        Some("UPDATE_FAILED"),
        &["execute"],
        "`chat-dev` is in UPDATE_FAILED (ChatTable: the failure of before): going on from there\n",
    ),
    (
        Some("UPDATE_ROLLBACK_FAILED"),
        &["continue", "execute"],
        "`chat-dev` is in UPDATE_ROLLBACK_FAILED: its rollback goes on\n",
    ),
];

#[tokio::test]
async fn from_every_state_a_deploy_gets_there_and_says_what_it_does_about_it() {
    for (status, calls, text) in STATES {
        let fake = Fake::new(status);
        let (is_good, read) = read(&fake).await;
        assert_eq!(read, format!("{text}{ADD}"), "{status:?}");
        assert!(is_good, "{status:?}");
        assert_eq!(fake.calls(), calls, "{status:?}");
        let good = ["CREATE_COMPLETE", "UPDATE_COMPLETE"];
        assert!(good.contains(&fake.status().unwrap()), "{status:?}");
    }
}

#[tokio::test]
async fn from_every_state_a_destroy_gets_rid_and_empties_the_bucket_first() {
    for (status, ..) in STATES {
        let fake = Fake::new(status);
        let (is_good, text) = read_deletion(&fake).await;
        assert!(is_good, "{status:?}: {text}");
        let gone = [None, Some("DELETE_COMPLETE")];
        assert!(gone.contains(&fake.status()), "{status:?}");
        let is_there = ![None, Some("DELETE_IN_PROGRESS")].contains(&status);
        let expected: &[_] = if is_there { &["empty", "delete"] } else { &[] };
        assert_eq!(fake.calls(), expected, "{status:?}");
    }
}

#[tokio::test]
async fn a_status_that_nobody_knows_is_left_alone() {
    let fake = Fake::new(Some("IMPORT_ROLLBACK_FAILED"));
    let (is_good, text) = read(&fake).await;
    assert!(!is_good);
    assert_eq!(
        text,
        "error: the stack `chat-dev` is in IMPORT_ROLLBACK_FAILED\n\
         hint: look at the stack's events in the CloudFormation console, then run the same command \
         again\n"
    );
    assert_eq!(fake.calls(), [""; 0]);
}

#[tokio::test]
async fn a_stack_that_somebody_else_made_is_left_alone_in_every_state() {
    for owner in [None, Some("artifacts")] {
        for status in [
            "CREATE_COMPLETE",
            "UPDATE_COMPLETE",
            "UPDATE_FAILED",
            "ROLLBACK_COMPLETE",
            "DELETE_FAILED",
            "UPDATE_ROLLBACK_FAILED",
        ] {
            let fake = Fake {
                owner,
                ..Fake::new(Some(status))
            };
            let error = applied(&fake, Losses::Allowed).await.unwrap_err();
            assert!(error.to_string().contains("was not made by this program"));
            let (is_deleted, text) = read_deletion(&fake).await;
            assert!(
                !is_deleted && text.contains("lacks the tag `chatctl`"),
                "{text}"
            );
            assert_eq!(fake.calls(), [""; 0], "{status}");
        }
    }
}

#[tokio::test]
async fn nothing_to_change_is_no_failure() {
    let fake = Fake {
        changes: Vec::new(),
        ..Fake::new(Some("UPDATE_COMPLETE"))
    };
    assert!(!applied(&fake, Losses::Refused).await.unwrap().is_changed);
    assert_eq!(fake.calls(), ["discard"]);
    assert_eq!(fake.change_sets_left(), 0);
}

#[tokio::test]
async fn the_status_of_before_is_not_taken_for_the_outcome() {
    for (lag, late_events) in [(4, 0), (0, 3), (4, 3)] {
        let mut fake = Fake::new(Some("UPDATE_COMPLETE"));
        fake.lag = lag;
        fake.late_events.set(late_events);
        fake.fault
            .set(Some(("Api", "AWS::ApiGatewayV2::Api", "no")));
        let error = applied(&fake, Losses::Refused).await.unwrap_err();
        assert_eq!(fake.status(), Some("UPDATE_ROLLBACK_COMPLETE"), "{lag}");
        assert!(
            error.to_string().contains("UPDATE_ROLLBACK_COMPLETE"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_change_that_loses_the_table_is_stopped_unless_it_is_allowed() {
    for action in [Action::Remove, Action::Replace, Action::MayReplace] {
        let fake = Fake {
            changes: vec![change(action, "ChatTable", "AWS::DynamoDB::Table")],
            ..Fake::new(Some("CREATE_COMPLETE"))
        };
        let error = applied(&fake, Losses::Refused).await.unwrap_err();
        assert!(error.to_string().contains("`ChatTable`"), "{error}");
        assert!(error.hint().contains("--allow-replacement"));
        // Nobody is at the terminal of a test.
        let asked = Losses::Asked("dev".to_owned());
        assert!(applied(&fake, asked).await.is_err());
        assert_eq!(fake.calls(), ["discard", "discard"]);
        assert_eq!(fake.change_sets_left(), 0);
        assert!(applied(&fake, Losses::Allowed).await.unwrap().is_changed);
    }
}

#[tokio::test]
async fn whoever_is_there_is_asked_for_the_stages_name_before_data_is_lost() {
    for (answer, goes_on) in [("dev", true), ("yes", false), ("", false)] {
        let fake = Fake {
            changes: vec![change(Action::Replace, "ChatTable", "AWS::DynamoDB::Table")],
            ..Fake::new(Some("CREATE_COMPLETE"))
        };
        let asked = Losses::Asked("dev".to_owned());
        let answers = Some(vec![answer]);
        let (is_good, text) = read_with(&fake, &Terms::default(), &asked, answers).await;
        assert_eq!(is_good, goes_on, "{answer}: {text}");
        assert!(
            text.contains(
                "this would replace `ChatTable` of `chat-dev`: all that is in it is lost\n\
                 type the stage's name, dev, to go on:\n"
            ),
            "{text}"
        );
        let calls: &[_] = if goes_on { &["execute"] } else { &["discard"] };
        assert_eq!(fake.calls(), calls, "{answer}");
    }
    // Without anything at stake nobody is asked.
    let fake = Fake::new(Some("CREATE_COMPLETE"));
    let asked = Losses::Asked("dev".to_owned());
    let (is_good, text) = read_with(&fake, &Terms::default(), &asked, Some(Vec::new())).await;
    assert!(is_good && !text.contains("type"), "{text}");
}

/// Failures as AWS words them, and what the user can do about each.
const FAULTS: [(fake::Fault, &str); 6] = [
    (
        (
            "ActionFunction",
            "AWS::Lambda::Function",
            "Resource handler returned message: \"Specified ReservedConcurrentExecutions for function \
             decreases account's UnreservedConcurrentExecution below its minimum value of [10].\"",
        ),
        "a new account may run ten functions at once: ask for more under Service Quotas, Lambda, \
         `Concurrent executions`",
    ),
    (
        (
            "SiteBucket",
            "AWS::S3::Bucket",
            "The requested bucket name is not available. The bucket namespace is shared by all users \
             of the system.",
        ),
        "something else has that name: delete it, or take another `--stage`",
    ),
    (
        (
            "SiteDistribution",
            "AWS::CloudFront::Distribution",
            "Access denied for operation 'AWS::CloudFront::Distribution': Your account must be verified \
             before you can add new CloudFront resources.",
        ),
        "AWS has to verify the account before it may make CloudFront distributions: ask AWS Support, \
         and deploy with `--cdn off` until then",
    ),
    (
        (
            "ActionRole",
            "AWS::IAM::Role",
            "API: iam:CreateRole User: arn:aws:iam::1:user/ann is not authorized to perform: \
             iam:CreateRole on resource: x",
        ),
        "ask whoever manages the account for the permission `iam:CreateRole`, then run the same \
         command again",
    ),
    (
        (
            "ChatTable",
            "AWS::DynamoDB::Table",
            "Subscriber limit exceeded: only 2500 tables allowed",
        ),
        "delete what is not needed any more, or ask for more under Service Quotas, then run the same \
         command again",
    ),
    (
        (
            "Wait",
            "AWS::CloudFormation::WaitCondition",
            "WaitCondition timed out. Received 0 conditions when expecting 1",
        ),
        "correct that and run the same command again; what is left of the failure is cleared away",
    ),
];

#[tokio::test]
async fn a_failure_is_told_in_three_lines_the_resource_awss_words_and_a_remedy() {
    for (fault, hint) in FAULTS {
        for described in [
            Described::Answers,
            Described::Empty,
            Described::Refused,
            Described::Missing,
        ] {
            for (status, end) in [
                (None, "ROLLBACK_COMPLETE"),
                (Some("CREATE_COMPLETE"), "UPDATE_ROLLBACK_COMPLETE"),
            ] {
                let fake = Fake {
                    described,
                    ..Fake::new(status)
                };
                fake.fault.set(Some(fault));
                let (is_good, text) = read(&fake).await;
                assert!(!is_good);
                let (_, text) = text.split_once("error: ").expect("an error");
                let (resource, kind, reason) = fault;
                assert_eq!(
                    text,
                    format!(
                        "`{resource}` ({kind}) failed, and the stack `chat-dev` is in {end}\n  \
                         caused by: {reason}\nhint: {hint}\n"
                    ),
                    "{described:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_early_validation_is_told_with_what_it_found_and_leaves_nothing() {
    let found = (
        "SiteAccessControl",
        "AWS::CloudFront::OriginAccessControl",
        "Resource of type 'AWS::CloudFront::OriginAccessControl' with identifier 'chat-dev' already \
         exists.",
    );
    for status in [None, Some("CREATE_COMPLETE")] {
        let fake = Fake {
            early_validation: Some(found),
            ..Fake::new(status)
        };
        let (_, text) = read(&fake).await;
        assert_eq!(
            text,
            format!(
                "error: AWS refuses the change of `chat-dev`\n  \
                 caused by: `{}` ({}): {}\n\
                 hint: something else has that name: delete it, or take another `--stage`\n",
                found.0, found.1, found.2
            )
        );
        assert_eq!(fake.change_sets_left(), 0);
        assert_ne!(fake.status(), Some("REVIEW_IN_PROGRESS"), "{status:?}");
    }
    let blind = Fake {
        early_validation: Some(found),
        described: Described::Refused,
        ..Fake::new(None)
    };
    let (_, text) = read(&blind).await;
    assert!(
        text.contains("[AWS::EarlyValidation::ResourceExistenceCheck]"),
        "{text}"
    );
}

#[tokio::test]
async fn an_update_that_was_left_failed_is_undone_where_aws_wants_that_first() {
    let replaces = change(Action::Replace, "ActionFunction", "AWS::Lambda::Function");
    for changes in [vec![replaces], Vec::new()] {
        let fake = Fake {
            changes: changes.clone(),
            ..Fake::new(Some("UPDATE_FAILED"))
        };
        let (is_good, text) = read(&fake).await;
        assert!(is_good, "{text}");
        assert!(
            text.contains(
                "AWS does not go on with `chat-dev` as it is: undoing what failed first\n"
            ),
            "{text}"
        );
        let then = if changes.is_empty() {
            "discard"
        } else {
            "execute"
        };
        assert_eq!(fake.calls(), ["discard", "roll back", then]);
    }
}

#[tokio::test]
async fn a_stack_of_express_mode_that_aws_does_not_undo_says_how_to_get_out() {
    let fake = Fake {
        changes: vec![change(
            Action::Replace,
            "ActionFunction",
            "AWS::Lambda::Function",
        )],
        ..Fake::new(Some("UPDATE_FAILED"))
    };
    fake.was_express.set(true);
    let (_, text) = read(&fake).await;
    let (_, text) = text.split_once("error: ").expect("an error");
    assert_eq!(
        text,
        "the stack `chat-dev` is in UPDATE_FAILED, and AWS does not undo what failed\n  \
         caused by: `cloudformation:RollbackStack`: RollbackStack is not supported for stacks updated \
         in EXPRESS mode (`ValidationError`)\n\
         hint: deploy once what was deployed before, which AWS takes, and then the change; or begin \
         anew: `chatctl destroy`, then `chatctl deploy`\n"
    );
    assert_eq!(fake.status(), Some("UPDATE_FAILED"));
}

#[tokio::test]
async fn express_mode_undoes_what_fails_and_goes_on_with_what_was_left_failed() {
    let express = Terms {
        is_express: true,
        role_arn: None,
    };
    let fake = Fake::new(Some("CREATE_COMPLETE"));
    fake.fault
        .set(Some(("Api", "AWS::ApiGatewayV2::Api", "no")));
    let (is_good, _) = read_with(&fake, &express, &Losses::Refused, None).await;
    assert!(!is_good);
    assert_eq!(fake.status(), Some("UPDATE_ROLLBACK_COMPLETE"));

    let fake = Fake::new(Some("UPDATE_FAILED"));
    let (is_good, text) = read_with(&fake, &express, &Losses::Refused, None).await;
    assert!(is_good, "{text}");
    assert_eq!(fake.calls(), ["execute"]);
}

#[tokio::test]
async fn a_rollback_that_does_not_go_on_says_what_holds_it() {
    let fake = Fake::new(Some("UPDATE_ROLLBACK_FAILED"));
    fake.fault
        .set(Some(("ActionRole", "AWS::IAM::Role", "it is gone")));
    let (_, text) = read(&fake).await;
    assert!(
        text.contains(
            "error: `ActionRole` (AWS::IAM::Role) failed, and the stack `chat-dev` is in \
             UPDATE_ROLLBACK_FAILED\n  caused by: it is gone\n"
        ),
        "{text}"
    );
    assert_eq!(fake.calls(), ["continue"]);
}

#[tokio::test]
async fn a_bucket_that_fills_again_while_it_goes_fails_the_deletion_and_says_so() {
    // Somebody puts an object between the emptying and the deletion.
    let fake = Fake {
        refills: true,
        ..Fake::new(Some("CREATE_COMPLETE"))
    };
    let (is_good, text) = read_deletion(&fake).await;
    assert!(!is_good);
    let (_, text) = text.split_once("error: ").expect("an error");
    assert_eq!(
        text,
        "`SiteBucket` (AWS::S3::Bucket) failed, and the stack `chat-dev` is in DELETE_FAILED\n  \
         caused by: The bucket you tried to delete is not empty (Service: S3, Status Code: 409)\n\
         hint: run the same command again: the bucket is emptied first\n"
    );
}

#[tokio::test]
async fn throttling_and_lost_connections_while_following_lose_no_deploy() {
    for call in [
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeChangeSet",
    ] {
        let fake = Fake::new(Some("CREATE_COMPLETE"));
        // The first look at the events comes before anything is asked for.
        if call.ends_with("ChangeSet") {
            fake.fail(call, 3, "Throttling", "Rate exceeded");
        } else {
            fake.fail_later(call, 1, 3, "Throttling", "Rate exceeded");
        }
        let (is_good, text) = read(&fake).await;
        assert!(is_good, "{call}: {text}");
    }
}

#[tokio::test]
async fn credentials_that_expire_midway_say_that_the_same_command_goes_on() {
    let fake = Fake::new(None);
    fake.fail_later(
        "cloudformation:DescribeStackEvents",
        1,
        1,
        "ExpiredToken",
        "The security token included in the request is expired",
    );
    let (_, text) = read(&fake).await;
    assert_eq!(
        text,
        format!(
            "{ADD}error: the AWS credentials have expired: The security token included in the request \
             is expired\n\
             hint: sign in again (`aws sso login`, or new temporary credentials) and run the same \
             command; it goes on where it was\n"
        )
    );
    let (is_good, text) = read(&fake).await;
    assert!(is_good, "{text}");
}

#[tokio::test]
async fn a_denial_names_the_missing_permission() {
    for (call, action) in [
        (
            "cloudformation:CreateChangeSet",
            "cloudformation:CreateChangeSet",
        ),
        (
            "cloudformation:ExecuteChangeSet",
            "cloudformation:ExecuteChangeSet",
        ),
    ] {
        let fake = Fake::new(None);
        let message =
            format!("User: arn:aws:iam::1:user/ann is not authorized to perform: {action}");
        fake.fail(call, 1, "AccessDenied", &message);
        let (_, text) = read(&fake).await;
        assert!(
            text.contains(&format!(
                "error: the permission `{action}` is missing: {message}\n\
                 hint: ask whoever manages the account to allow `{action}`, then run the same command \
                 again; `chatctl synth --deployer-policy` prints all that is needed\n"
            )),
            "{text}"
        );
    }
}

#[tokio::test]
async fn two_first_deploys_at_once_end_in_one_chat() {
    for (call, does) in [
        ("cloudformation:CreateChangeSet", "executes"),
        ("cloudformation:DescribeChangeSet", "executes"),
        ("cloudformation:ExecuteChangeSet", "executes"),
        ("cloudformation:ExecuteChangeSet", "deletes"),
        ("cloudformation:DescribeChangeSet", "deletes"),
    ] {
        let fake = Fake::new(Some("REVIEW_IN_PROGRESS"));
        fake.rival.set(Some((call, does)));
        let (is_good, text) = read(&fake).await;
        assert!(is_good, "{call} {does}: {text}");
        let expected =
            "`chat-dev` is being changed by somebody else at the same time: looking again\n";
        assert!(text.contains(expected), "{call} {does}: {text}");
        assert_eq!(fake.calls().last(), Some(&"execute"), "{call} {does}");
        assert!(!fake.calls().contains(&"delete"), "{call} {does}");
    }
}

#[tokio::test]
async fn what_aws_goes_on_refusing_is_told_in_its_words_in_the_end() {
    let fake = Fake::new(Some("CREATE_COMPLETE"));
    let message = "Export [x] of the template does not exist";
    fake.fail(
        "cloudformation:CreateChangeSet",
        100,
        "ValidationError",
        message,
    );
    let (is_good, text) = read(&fake).await;
    assert!(!is_good);
    assert!(
        text.contains(&format!(
            "error: `cloudformation:CreateChangeSet`: {message}"
        )),
        "{text}"
    );
}

#[tokio::test]
async fn a_repeated_request_is_the_same_request_and_each_operation_has_a_token_of_its_own() {
    let terms = Terms::default();
    let order = Order::new(&terms);
    let fake = Fake::new(None);
    let proposal = fake
        .propose(&wanted(), Sent::Inside, true, &order)
        .await
        .unwrap();
    fake.execute(&proposal, &order).await.unwrap();
    fake.execute(&proposal, &order).await.unwrap();
    assert_eq!(fake.calls(), ["execute"]);

    let fake = Fake::new(Some("ROLLBACK_COMPLETE"));
    applied(&fake, Losses::Refused).await.unwrap();
    let tokens = fake.tokens();
    let [(_, deletion), (_, execution)] = tokens.as_slice() else {
        panic!("{tokens:?}");
    };
    assert_ne!(deletion, execution);
}

#[tokio::test]
async fn whether_aws_is_at_it_is_known_at_any_moment() {
    let fake = Fake::new(None);
    fake.fail("cloudformation:CreateChangeSet", 1, "AccessDenied", "no");
    let mut output = Output::to_nobody();
    let terms = Terms::default();
    let _ = apply(&fake, &wanted(), &terms, &Losses::Refused, &mut output).await;
    assert_eq!(output.under_way(), None, "nothing was asked for");

    fake.fail_later(
        "cloudformation:DescribeStackEvents",
        1,
        1,
        "ExpiredToken",
        "x",
    );
    let _ = apply(&fake, &wanted(), &terms, &Losses::Refused, &mut output).await;
    assert_eq!(output.under_way().as_deref(), Some(NAME), "it goes on");

    apply(&fake, &wanted(), &terms, &Losses::Refused, &mut output)
        .await
        .unwrap();
    assert_eq!(output.under_way(), None, "it is done");
}

#[tokio::test]
async fn a_protected_stack_is_changed_as_any_other_and_not_deleted_until_that_is_lifted() {
    let fake = Fake::new(Some("CREATE_COMPLETE"));
    fake.is_protected.set(true);
    let (is_good, _) = read(&fake).await;
    assert!(is_good);
    let (is_good, text) = read_deletion(&fake).await;
    assert!(!is_good);
    assert!(
        text.ends_with(
            "error: `cloudformation:DeleteStack`: Stack [chat-dev] cannot be deleted while \
             TerminationProtection is enabled (`ValidationError`)\n\
             hint: the stack is protected against deletion, perhaps by hand: `chatctl deploy --protect \
             off` lifts that, and so does the CloudFormation console\n"
        ),
        "{text}"
    );
    assert_eq!(fake.status(), Some("UPDATE_COMPLETE"));

    let mut output = Output::to_nobody();
    for (wanted, switches) in [
        (Protection::On, false),
        (Protection::Off, true),
        (Protection::Off, false),
        (Protection::On, true),
        (Protection::Off, true),
    ] {
        let stack = fake.find(NAME).await.unwrap().unwrap();
        let switched = protection::switch(&fake, &stack, wanted, &mut output).await;
        assert_eq!(switched.unwrap(), switches, "{wanted}");
        assert_eq!(fake.is_protected.get(), wanted.is_on());
    }
    assert!(read_deletion(&fake).await.0);
}

const BEYOND_REPAIR: [&str; 4] = [
    "CREATE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "DELETE_FAILED",
];

#[tokio::test]
async fn a_stack_that_has_to_go_and_is_protected_stays_and_the_way_on_is_told() {
    for status in BEYOND_REPAIR {
        let fake = Fake::new(Some(status));
        fake.is_protected.set(true);
        let (is_good, text) = read(&fake).await;
        assert!(!is_good);
        assert_eq!(
            text,
            format!(
                "error: the stack `chat-dev` is in {status} and protected against deletion: nothing \
                 was done\n\
                 hint: `chatctl deploy --protect off` lifts that and starts over; `aws cloudformation \
                 update-termination-protection --region eu-central-1 --stack-name chat-dev \
                 --no-enable-termination-protection` lifts it alone\n"
            )
        );
        assert_eq!(fake.calls(), [""; 0], "not even its bucket is emptied");
        let existing = fake.find(NAME).await.unwrap();
        let error = compare(&fake, &wanted(), existing.as_ref()).await;
        assert!(
            matches!(error, Err(StackError::Protected { .. })),
            "{error:?}"
        );

        // What `--protect off` comes to.
        let lifting = Wanted {
            parameters: vec![("Protect".to_owned(), "off".to_owned())],
            ..wanted()
        };
        let comparison = compare(&fake, &lifting, existing.as_ref()).await.unwrap();
        assert_eq!(comparison, Comparison::New(Some(Status::new(status))));
        assert!(protection::hinders_starting_over(&existing.unwrap()));
        fake.is_protected.set(false);
        assert!(read(&fake).await.0, "{status}");
    }
}

#[tokio::test]
async fn a_deploy_does_not_leave_a_table_behind_that_a_failed_deletion_was_to_keep() {
    for status in BEYOND_REPAIR {
        let fake = Fake {
            keeps_table: true,
            ..Fake::new(Some(status))
        };
        let existing = fake.find(NAME).await.unwrap();
        let compared = compare(&fake, &wanted(), existing.as_ref()).await;
        let (is_good, text) = read(&fake).await;
        // What never came up has a table at most that nobody has written to.
        assert_eq!(is_good, status != "DELETE_FAILED", "{status}: {text}");
        assert_eq!(compared.is_ok(), is_good);
        if !is_good {
            assert_eq!(
                text,
                "error: the stack `chat-dev` is in DELETE_FAILED: to start over would leave its table \
                 behind, with all messages, and nothing was done\n\
                 hint: `chatctl destroy --stage dev --keep-table` ends the deletion and tells what the \
                 table is called; docs/protection.md tells how to go back to it\n"
            );
            assert_eq!(fake.calls(), [""; 0]);
            assert_eq!(fake.status(), Some("DELETE_FAILED"));
        }
    }
}

#[tokio::test]
async fn a_comparison_tells_the_changes_and_leaves_no_trace() {
    let added = change(Action::Add, "ChatTable", "AWS::DynamoDB::Table");
    for (status, expected) in [
        (None, Comparison::New(None)),
        (
            Some("REVIEW_IN_PROGRESS"),
            Comparison::New(Some(Status::new("REVIEW_IN_PROGRESS"))),
        ),
        (
            Some("ROLLBACK_COMPLETE"),
            Comparison::New(Some(Status::new("ROLLBACK_COMPLETE"))),
        ),
        (
            Some("UPDATE_ROLLBACK_FAILED"),
            Comparison::Later(Status::new("UPDATE_ROLLBACK_FAILED")),
        ),
        (
            Some("UPDATE_IN_PROGRESS"),
            Comparison::Later(Status::new("UPDATE_IN_PROGRESS")),
        ),
        (
            Some("CREATE_COMPLETE"),
            Comparison::Changes(vec![added.clone()]),
        ),
        (Some("UPDATE_FAILED"), Comparison::Changes(vec![added])),
    ] {
        let fake = Fake::new(status);
        let existing = fake.find(NAME).await.unwrap();
        let comparison = compare(&fake, &wanted(), existing.as_ref()).await.unwrap();
        assert_eq!(comparison, expected);
        assert_eq!(fake.change_sets_left(), 0);
        assert!(fake.calls().iter().all(|it| *it == "discard"), "{status:?}");
        assert_eq!(fake.status().is_none(), status.is_none(), "{status:?}");
    }
    let fake = Fake {
        changes: Vec::new(),
        ..Fake::new(Some("CREATE_COMPLETE"))
    };
    let existing = fake.find(NAME).await.unwrap();
    let comparison = compare(&fake, &wanted(), existing.as_ref()).await.unwrap();
    assert_eq!(comparison, Comparison::Changes(Vec::new()));
    let foreign = Fake {
        owner: None,
        ..Fake::new(Some("CREATE_COMPLETE"))
    };
    let existing = foreign.find(NAME).await.unwrap();
    let error = compare(&foreign, &wanted(), existing.as_ref())
        .await
        .unwrap_err();
    assert!(matches!(error, StackError::Foreign { .. }), "{error:?}");
}
