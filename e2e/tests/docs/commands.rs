//! What the documents say to type: each command is run by a test, here or in a file that is named.

use std::collections::BTreeSet;

use super::Document;
use e2e::chatctl::{self, checkout};

/// Commands, and the file and the test that run them. The test's file has the verb and each flag.
const RUN_BY: &[(&str, &str, &str)] = &[
    ("cargo run -p chatctl -- dev", DEV, PRINTS_URLS),
    (
        "cargo run -p chatctl -- dev --fault crash=1% --fault lose-disconnect=20% --fault reorder=50ms --seed 42",
        "e2e/tests/soak.rs",
        "nothing_is_lost_doubled_or_out_of_order_when_everything_goes_wrong_at_once",
    ),
    ("cargo run -p chatctl -- deploy", DEPLOY, A_CHAT),
    ("chatctl dev", DEV, PRINTS_URLS),
    ("chatctl deploy", DEPLOY, A_CHAT),
    ("chatctl deploy --stage prod --protect on", STEER, PROTECTED),
    (
        "chatctl deploy --domain chat.example.org --certificate-arn arn:aws:acm:us-east-1:…",
        "e2e/tests/domain.rs",
        "a_domain_is_deployed_before_dns_knows_it_and_taken_away_again",
    ),
    (
        "chatctl deploy --auth oidc --issuer https://login.example.org --audience 3f2a91c7",
        "e2e/tests/sign_in.rs",
        "a_deployed_chat_lets_in_the_people_of_a_cognito_user_pool_and_nobody_else",
    ),
    (
        "chatctl diff",
        "e2e/tests/stack.rs",
        "a_diff_tells_what_a_deploy_would_do_and_changes_nothing",
    ),
    ("chatctl urls", DEPLOY, A_CHAT),
    ("chatctl verify", DEPLOY, A_CHAT),
    (
        "chatctl verify --url ws://127.0.0.1:8765/dev",
        "e2e/tests/verify.rs",
        "all_holds_on_this_machine_and_nobody_in_the_lobby_is_disturbed",
    ),
    ("chatctl rollback", STEER, ROLLBACK),
    ("chatctl rollback --list", STEER, ROLLBACK),
    ("chatctl destroy --yes", DEPLOY, A_CHAT),
    ("chatctl status", SEE, STATUS),
    ("chatctl status --stage prod", SEE, STATUS),
    ("chatctl logs", SEE, LOGS),
    ("chatctl logs --json --errors", SEE, LOGS),
    (
        "chatctl open --dev",
        SEE,
        "the_page_is_opened_by_the_browser_that_is_wanted",
    ),
    (
        "chatctl doctor",
        SEE,
        "the_doctor_says_what_is_missing_and_what_mends_it",
    ),
    (
        "chatctl man --out ~/.local/share/man/man1",
        SEE,
        "each_command_has_a_manual_page_that_man_shows",
    ),
    (
        "chatctl man logs | man -l -",
        SEE,
        "each_command_has_a_manual_page_that_man_shows",
    ),
    (
        "chatctl completions bash > ~/.local/share/bash-completion/completions/chatctl",
        SEE,
        "a_real_bash_completes_commands_flags_and_values",
    ),
    (
        "chatctl synth --operator-policy > policy.json",
        SEE,
        "whoever_may_only_look_can_and_changes_nothing",
    ),
    ("chatctl synth --access-logs-role > role.yaml", HERE, PRINTS),
    (
        "chatctl plan --connections 10000 --room-size 50 --rate 100",
        HERE,
        PRINTS,
    ),
    (
        "chatctl plan --connections 200 --room-size 20 --rate 0.5 --region us-east-1",
        HERE,
        PRINTS,
    ),
    (
        "chatctl init my-chat",
        INIT,
        "an_app_is_begun_where_nothing_is_and_nothing_that_is_there_is_touched",
    ),
    ("chatctl dev --watch", INIT, AN_APP),
    ("cargo test", INIT, AN_APP),
    ("cargo xtask test", ".ci/run", "cargo xtask test"),
];

/// What no test can run, and why.
const BY_HAND: &[(&str, &str)] = &[
    (
        "git clone <this repository> chatctl && cd chatctl",
        "where it is cloned from is the reader's to know",
    ),
    (
        "cargo xtask bench",
        "takes a quarter of an hour and installs the peers; bench/ has tests of its own",
    ),
    (
        "aws cloudformation deploy --template-file role.yaml --stack-name chatctl-access-logs --capabilities CAPABILITY_IAM",
        "is AWS's program; the template is printed here and linted by `cargo xtask audit`",
    ),
];

/// The commands that ask neither AWS nor this machine.
const ASK_NOBODY: &[&str] = &["plan", "synth"];

const INIT: &str = "e2e/tests/init.rs";
const AN_APP: &str = "an_app_passes_its_tests_runs_here_and_shows_what_is_changed_in_it";
const HERE: &str = "e2e/tests/docs/commands.rs";
const DEV: &str = "e2e/tests/dev.rs";
const DEPLOY: &str = "e2e/tests/deploy.rs";
const STEER: &str = "e2e/tests/steer.rs";
const SEE: &str = "e2e/tests/see.rs";
const PRINTS_URLS: &str = "for_people_it_prints_both_urls_and_nothing_else_on_standard_output";
const PRINTS: &str = "what_asks_nobody_prints_what_is_shown";
const A_CHAT: &str = "a_chat_is_deployed_used_changed_and_destroyed_without_a_trace";
const PROTECTED: &str =
    "a_protected_chat_is_not_destroyed_and_leaves_its_table_if_that_is_asked_for";
const ROLLBACK: &str =
    "after_a_bad_deploy_a_rollback_brings_back_the_code_and_the_page_that_worked";
const STATUS: &str = "status_tells_how_a_chat_is_and_what_is_not_as_it_should_be";
const LOGS: &str = "logs_are_merged_followed_and_told_apart";

/// A command of a document, and what is shown below it.
struct Shown {
    command: String,
    output: String,
}

fn shown(document: &Document) -> Vec<Shown> {
    let mut all = Vec::new();
    for block in document.blocks() {
        if block.language != "console" {
            continue;
        }
        let mut lines = block.lines.iter();
        let mut last: Option<Shown> = None;
        while let Some(line) = lines.next() {
            if let Some(begin) = line.strip_prefix("$ ") {
                let mut command = begin.to_owned();
                while let Some(half) = command.strip_suffix('\\') {
                    let rest = lines.next().expect("a command goes on");
                    command = format!("{} {}", half.trim_end(), rest.trim());
                }
                all.extend(last.replace(Shown {
                    command,
                    output: String::new(),
                }));
            } else if let Some(shown) = &mut last {
                shown.output += line;
                shown.output.push('\n');
            }
        }
        all.extend(last);
    }
    all
}

#[test]
fn every_command_of_the_documents_is_run_by_a_test() {
    let documents = Document::all();
    let shown: BTreeSet<String> = documents
        .iter()
        .flat_map(shown)
        .map(|it| it.command)
        .collect();
    let rows = RUN_BY.iter().map(|it| it.0);
    let known: BTreeSet<String> = rows
        .chain(BY_HAND.iter().map(|it| it.0))
        .map(str::to_owned)
        .collect();
    let new: Vec<_> = shown.difference(&known).collect();
    assert!(new.is_empty(), "nothing says which test runs {new:#?}");
    let old: Vec<_> = known.difference(&shown).collect();
    assert!(old.is_empty(), "no document has {old:#?}");
    assert!(BY_HAND.iter().all(|(_, why)| why.len() > 20));
}

#[test]
fn the_tests_that_run_them_are_there_and_say_what_they_say() {
    for &(command, file, test) in RUN_BY {
        let text = std::fs::read_to_string(checkout().join(file));
        let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_test = [format!("fn {test}()"), format!("exec {test}\n")]
            .iter()
            .any(|it| text.contains(it));
        assert!(is_test, "{file} has no `{test}`, which runs `{command}`");
        let Some((_, words)) = command.split_once("chatctl ") else {
            continue;
        };
        let words = words.trim_start_matches("-- ");
        let verb = words.split(' ').next().unwrap_or_default();
        let says = |word: &str| text.contains(&format!("\"{word}\""));
        // What starts `chatctl dev` for a test says so itself.
        assert!(
            says(verb) || verb == "dev" && text.contains("Dev::start"),
            "{file} does not say `{verb}`"
        );
        let flags = words.split(' ').filter(|it| it.starts_with("--"));
        for flag in flags {
            assert!(says(flag) || file == HERE, "{file} does not say `{flag}`");
        }
    }
}

/// The words of a command of `chatctl`'s, without where its output goes.
fn arguments(command: &str) -> Vec<&str> {
    let command = command.split(" > ").next().unwrap_or_default();
    let words = command.split(' ').skip(1);
    words.collect()
}

#[tokio::test]
async fn what_asks_nobody_prints_what_is_shown() {
    let here: Vec<&str> = RUN_BY
        .iter()
        .filter(|it| it.2 == PRINTS)
        .map(|it| it.0)
        .collect();
    let documents = Document::all();
    let mut compared = 0;
    for Shown { command, output } in documents.iter().flat_map(shown) {
        if !here.contains(&command.as_str()) {
            continue;
        }
        let arguments = arguments(&command);
        assert!(ASK_NOBODY.contains(&arguments[0]), "{command}");
        let printed = chatctl::run(&arguments).await;
        assert!(printed.status.success(), "{command}: {printed:?}");
        let printed = String::from_utf8(printed.stdout).expect("text");
        assert!(printed.lines().count() > 5, "{command}: {printed}");
        if !output.is_empty() {
            compared += 1;
            assert_eq!(printed, output, "{command}");
        }
    }
    assert!(compared > 0);
}

#[test]
fn what_continuous_integration_runs_is_what_the_readme_says() {
    let read = |file: &str| std::fs::read_to_string(checkout().join(file)).expect(file);
    let (workflow, script) = (read(".github/workflows/ci.yml"), read(".ci/run"));
    assert!(workflow.contains("- run: .ci/run\n"));
    let readme = shown(&Document::named("README.md"));
    for (command, run) in [
        ("cargo run -p chatctl -- dev", workflow),
        ("cargo xtask test", script),
    ] {
        assert!(readme.iter().any(|it| it.command == command), "{command}");
        assert!(run.contains(command), "{command}");
    }
}
