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

/// The names of all packages that a manifest depends on, and the names it gives them.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut within = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            within = section.ends_with("dependencies");
            // `[dependencies.name]`: its own lines hold no names.
            names.extend(section.rsplit_once("dependencies.").map(|(_, name)| name));
        } else if within && let Some((name, value)) = line.split_once('=') {
            let name = name.trim().split('.').next().unwrap_or_default();
            names.push(name.trim_matches('"'));
            let renamed = value.split_once("package").map(|(_, rest)| rest);
            names.extend(renamed.and_then(|rest| rest.split('"').nth(1)));
        }
    }
    names
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
        let manifest = manifest(folder);
        let dependencies = dependencies(&manifest);
        assert!(dependencies.contains(&"tokio"), "{dependencies:?}");
        for name in unknown {
            assert!(!dependencies.contains(name), "{folder}: {name}");
        }
    }
}

#[test]
fn a_dependency_is_recognized_in_all_forms() {
    let manifest = r#"
[package]
name = "not-this"
[dependencies]
plain = "1"
table = { path = "../table" } # and a comment
dotted.workspace = true
"quoted" = "1"
alias = { package = "renamed", path = "../renamed" }
[dev-dependencies]
tested = "1"
[target.'cfg(unix)'.dependencies]
unix = "1"
[build-dependencies.section]
path = "../section"
[features]
not-this-either = []
"#;
    assert_eq!(
        dependencies(manifest),
        [
            "plain", "table", "dotted", "quoted", "alias", "renamed", "tested", "unix", "section"
        ]
    );
}

#[test]
fn nothing_scans_a_table() {
    for folder in ["handlers/src", "deployer/src", "local/src"] {
        // The tests of the adapters count what is left in a table, in process; and whoever else's
        // functions run on the local stack may scan.
        let may = [
            "handlers/src/adapters/tests.rs",
            "local/src/database/api.rs",
        ];
        assert_eq!(
            offenders(folder, ".scan(", &may),
            [""; 0].map(PathBuf::from)
        );
    }
    let template = std::fs::read_to_string(checkout().join("cloudformation/functions.yaml"));
    assert!(!template.expect("the template").contains("dynamodb:Scan"));
}

/// The files and tests that a row names in backticks, both without their ends where these are left out,
/// and tests without their modules.
fn named(row: &str) -> Vec<&str> {
    let keeper = row.trim_end_matches('|').rsplit('|').next();
    let words = keeper.unwrap_or_default().split('`').skip(1).step_by(2);
    let names = words.map(|it| it.trim_end_matches('…'));
    names
        .map(|it| it.rsplit_once("::").map_or(it, |(_, name)| name))
        .collect()
}

/// All tests of the workspace and of the page, as text.
fn all_tests() -> String {
    let folders = ["handlers", "local", "deployer", "e2e", "bench", "xtask"];
    let rust = folders.iter().flat_map(|it| sources(&format!("{it}/")));
    // What cargo and npm bring is in neither.
    let mut text: String = rust.map(|(_, text)| text).collect();
    for entry in std::fs::read_dir(checkout().join("e2e/browser")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "mjs") {
            text += &std::fs::read_to_string(path).expect("text");
        }
    }
    text
}

/// Whether each of these rows names files and tests, and there are such.
fn are_kept(rows: &[&str]) {
    let tests = all_tests();
    for row in rows {
        let named = named(row);
        assert!(!named.is_empty(), "nothing keeps this: {row}");
        for name in named {
            let is_there = if name.contains('/') {
                checkout().join(name).exists()
            } else {
                ["fn ", "'", "`"]
                    .iter()
                    .any(|before| tests.contains(&format!("{before}{name}")))
            };
            assert!(is_there, "there is no `{name}`: {row}");
        }
    }
}

#[test]
fn every_invariant_has_its_test() {
    let document = std::fs::read_to_string(checkout().join("ARCHITECTURE.md")).expect("text");
    let (_, table) = document.split_once("## Invariants").expect("a section");
    let table = table.split("\n## ").next().expect("some text");
    // Below the head and its line.
    let rows = table.lines().filter(|it| it.starts_with("| ")).skip(2);
    let rows: Vec<&str> = rows.collect();
    are_kept(&rows);
    assert!(rows.len() > 50, "{}", rows.len());
}

#[test]
fn every_promise_of_security_has_its_test() {
    let document = std::fs::read_to_string(checkout().join("SECURITY.md")).expect("text");
    let (mut rows, mut tables) = (Vec::new(), 0);
    let mut lines = document.lines().filter(|it| it.starts_with('|'));
    while let Some(line) = lines.next() {
        let is_head = line.ends_with("| test |");
        if is_head {
            tables += 1;
            lines.next();
        } else {
            rows.push(line);
        }
    }
    are_kept(&rows);
    assert!(tables >= 4 && rows.len() > 25, "{tables}, {}", rows.len());
}

#[test]
fn every_behaviour_of_the_local_gateway_has_its_test() {
    let document = std::fs::read_to_string(checkout().join("docs/local-stack.md")).expect("text");
    let rows = document.lines().filter(|it| it.starts_with("| "));
    // The others say that nothing keeps it, or are of the same test as the one above.
    let rows: Vec<&str> = rows.filter(|it| !named(it).is_empty()).collect();
    are_kept(&rows);
    assert!(rows.len() > 40, "{}", rows.len());
}

/// The value of a constant, where it stands: `const NAME: TYPE = VALUE;`.
fn constant(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(checkout().join(file)).expect("text");
    let begin = format!("const {name}");
    let (_, rest) = text.split_once(&begin).expect(&begin);
    let (_, value) = rest.split_once('=').expect("a value");
    let (value, _) = value.split_once(';').expect("its end");
    let factors = value.split('*').map(|it| it.trim().replace('_', ""));
    factors.map(|it| it.parse::<u64>().expect(&it)).product()
}

#[test]
fn limits_that_stand_on_both_ends_of_a_wire_are_the_same() {
    let text = ("handlers/src/chat/message.rs", "TEXT_CHARS_MAX");
    let crowd = ("handlers/src/chat/presence.rs", "CROWD");
    let name = ("handlers/src/chat/name.rs", "NAME_CHARS_MAX");
    let token = ("handlers/src/sign_in/mod.rs", "TOKEN_BYTES_MAX");
    for (server, client) in [
        (text, ("wwwroot/words.js", "TEXT_MAX")),
        (
            text,
            (
                "deployer/src/conversation/checks/rules.rs",
                "TEXT_CHARS_MAX",
            ),
        ),
        (crowd, ("wwwroot/room.js", "CROWD")),
        (name, ("wwwroot/sign-in.js", "NAME_MAX")),
        (token, ("wwwroot/sign-in.js", "TOKEN_MAX")),
    ] {
        let [ours, theirs] = [server, client].map(|(file, name)| constant(file, name));
        assert_eq!(ours, theirs, "{server:?}, {client:?}");
    }
}
