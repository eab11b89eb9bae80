//! Paths: each file and folder that a document names is there, and the map has all rooms.

use std::collections::BTreeSet;

use super::Document;
use e2e::chatctl::checkout;
use e2e::checkout;

/// Kinds of files that are named by themselves; others are often what a user has or what a program writes.
const KINDS: &[&str] = &[".rs", ".mjs", ".py", ".js", ".css"];

/// Folders of which the map names each file and each folder.
const MAPPED: &[&str] = &[
    "bench/src",
    "cloudformation",
    "deployer/src",
    "e2e",
    "e2e/src",
    "handlers/src",
    "local",
    "local/src",
    "wwwroot",
    "xtask/src",
];

/// What belongs to each package and is no room.
const EVERYWHERE: &[&str] = &["Cargo.toml", "src", "lib.rs", "target"];

/// All files and folders of the checkout, from its top as `/`.
fn all_paths() -> Vec<String> {
    let files = checkout::files();
    let paths = files.iter().flat_map(|it| it.ancestors());
    let paths: BTreeSet<String> = paths.map(|it| format!("/{}", it.display())).collect();
    paths.into_iter().collect()
}

/// What others have, or a build makes.
const ELSEWHERE: &[&str] = &["services/apigateway.py", "target/", "completions/", "man/"];

/// What is written as code in a text, and looks like a path of the checkout.
fn named<'a>(prose: &'a str, folders: &[&str]) -> Vec<&'a str> {
    let words = prose
        .lines()
        .flat_map(|it| it.split('`').skip(1).step_by(2));
    let is_path = |word: &&str| {
        let plain = |it: char| it.is_ascii_alphanumeric() || "./_-".contains(it);
        let begins = folders.iter().any(|it| {
            word.strip_prefix(it)
                .is_some_and(|rest| rest.starts_with('/'))
        });
        let is_relative = word.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '.');
        let is_named = KINDS.iter().any(|it| word.ends_with(it));
        is_relative && word.chars().all(plain) && (begins || is_named || word.ends_with('/'))
    };
    words.filter(is_path).collect()
}

/// Whether this is a path, or the end of one.
fn is_there(word: &str, paths: &[String]) -> bool {
    let end = format!("/{}", word.trim_end_matches('/'));
    paths.iter().any(|it| it.ends_with(&end))
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let paths = all_paths();
    let top = paths
        .iter()
        .map(|it| &it[1..])
        .filter(|it| !it.contains('/'));
    let top: Vec<&str> = top.collect();
    let (mut missing, mut count) = (Vec::new(), 0);
    for document in Document::all() {
        let prose = document.prose();
        for word in named(&prose, &top) {
            count += 1;
            if !ELSEWHERE.contains(&word) && !is_there(word, &paths) {
                missing.push(format!("{}: `{word}`", document.path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "there is no {missing:#?}");
    assert!(count > 300, "{count}");
}

#[test]
fn the_map_has_every_room() {
    let document = Document::named("ARCHITECTURE.md");
    let (_, map) = document.text.split_once("\n## The rooms\n").expect("a map");
    let map = map.split("\n## ").next().expect("some text");
    let mut missing = Vec::new();
    for folder in MAPPED {
        let begin = format!("**`{folder}`**: ");
        let entry = map.split("\n- ").find(|it| it.starts_with(&begin));
        let entry = entry.unwrap_or_else(|| panic!("the map has no {folder}"));
        let words = entry.split('`').skip(1).step_by(2);
        // A file and the folder of its parts are one room.
        let rooms = words.map(|it| it.trim_end_matches('/').trim_end_matches(".rs"));
        let rooms: Vec<&str> = rooms.collect();
        for entry in std::fs::read_dir(checkout().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_string_lossy();
            let is_room = !EVERYWHERE.contains(&&*name) && !name.starts_with('.');
            if is_room && !rooms.contains(&name.trim_end_matches(".rs")) {
                missing.push(format!("{folder}/{name}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not on the map of ARCHITECTURE.md: {missing:#?}"
    );
}

#[test]
fn a_path_that_leads_nowhere_is_seen() {
    let text = "`e2e/src/none.rs` and `none.rs`, `gateway/`, `/dev/zero`, `a b.rs`, `config.json`\n`local/`: `x`";
    let folders = ["e2e", "local"];
    assert_eq!(
        named(text, &folders),
        ["e2e/src/none.rs", "none.rs", "gateway/", "local/"]
    );
    let paths = all_paths();
    for good in [
        "gateway/",
        "local/",
        "mod.rs",
        "chat/mod.rs",
        "e2e/src/lib.rs",
    ] {
        assert!(is_there(good, &paths), "{good}");
    }
    for bad in ["none.rs", "od.rs", "e2e/src/none.rs", "handlers/gateway/"] {
        assert!(!is_there(bad, &paths), "{bad}");
    }
}
