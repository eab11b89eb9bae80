//! Who may know whom: the directions of `ARCHITECTURE.md`, read from the sources.

use std::path::{Path, PathBuf};

use e2e::chatctl::checkout;

/// All Rust sources below a folder, with their paths from the checkout.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let (root, mut found) = (checkout(), Vec::new());
    collect(&root.join(folder), &mut found);
    assert!(!found.is_empty(), "{folder}");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("text");
        (
            path.strip_prefix(&root)
                .expect("below the checkout")
                .to_owned(),
            text,
        )
    };
    found.into_iter().map(read).collect()
}

fn manifest(folder: &str) -> String {
    std::fs::read_to_string(checkout().join(folder).join("Cargo.toml")).expect("a manifest")
}

/// Files of `folder` that name `what`, other than those that may.
fn offenders(folder: &str, what: &str, may: &[&str]) -> Vec<PathBuf> {
    let named = sources(folder)
        .into_iter()
        .filter(|(_, text)| text.contains(what));
    named
        .map(|(path, _)| path)
        .filter(|path| !may.iter().any(|allowed| path.starts_with(allowed)))
        .collect()
}

#[test]
fn only_the_adapters_name_an_aws_sdk() {
    assert_eq!(
        offenders("handlers/src", "aws_sdk_", &["handlers/src/adapters"]),
        [""; 0].map(PathBuf::from)
    );
    assert_eq!(
        offenders(
            "deployer/src",
            "aws_sdk_",
            &["deployer/src/cloud/aws.rs", "deployer/src/cloud/aws"]
        ),
        [""; 0].map(PathBuf::from)
    );
    assert_eq!(
        offenders("local/src", "aws_sdk_", &[]),
        [""; 0].map(PathBuf::from)
    );
}

#[test]
fn the_rules_of_the_chat_know_no_lambda_type() {
    for what in ["lambda_runtime", "aws_lambda_events", "adapters"] {
        assert_eq!(
            offenders("handlers/src/chat", what, &["handlers/src/chat/memory.rs"]),
            [""; 0].map(PathBuf::from),
            "{what}"
        );
    }
}

#[test]
fn handlers_deployer_and_local_depend_on_each_other_in_one_direction() {
    for (folder, unknown) in [
        ("handlers", &["chatctl", "local"][..]),
        ("deployer", &["handlers"]),
        ("local", &["chatctl", "handlers"]),
    ] {
        for name in unknown {
            assert!(
                !manifest(folder).contains(&format!("\n{name}.workspace")),
                "{folder}: {name}"
            );
        }
    }
}

#[test]
fn nothing_scans_a_table() {
    for folder in ["handlers/src", "deployer/src", "local/src"] {
        // The tests of the adapters count what is left in a table, in process.
        let may = ["handlers/src/adapters/tests.rs"];
        assert_eq!(
            offenders(folder, ".scan(", &may),
            [""; 0].map(PathBuf::from)
        );
    }
    let template = std::fs::read_to_string(checkout().join("cloudformation/functions.yaml"));
    assert!(!template.expect("the template").contains("dynamodb:Scan"));
}
