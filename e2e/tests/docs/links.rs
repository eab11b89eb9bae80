//! Links: the files and headings that they lead to.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::Document;
use e2e::chatctl::checkout;

/// Where the links of a text lead: `[text](target)`, pictures, and `src` and `href` of HTML.
fn targets(prose: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for (begin, end) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        for (at, _) in prose.match_indices(begin) {
            let rest = &prose[at + begin.len()..];
            targets.extend(rest.find(end).map(|it| rest[..it].to_owned()));
        }
    }
    targets
}

/// The prose without what is written as code: a link in there is none.
fn without_code(prose: &str) -> String {
    let outside = |line: &str| line.split('`').step_by(2).collect::<String>();
    prose.lines().map(|it| outside(it) + "\n").collect()
}

/// The anchors of a document's headings, as `GitHub` makes them.
fn anchors(document: &Document) -> Vec<String> {
    let prose = document.prose();
    let headings = prose.lines().filter(|it| it.starts_with('#'));
    let mut seen = BTreeMap::new();
    headings
        .map(|heading| {
            let anchor = anchor(heading.trim_start_matches('#').trim());
            let times: &mut usize = seen.entry(anchor.clone()).or_default();
            *times += 1;
            match *times {
                1 => anchor,
                more => format!("{anchor}-{}", more - 1),
            }
        })
        .collect()
}

fn anchor(heading: &str) -> String {
    let kept = |it: char| it.is_alphanumeric() || " -_".contains(it);
    let lower = heading.to_lowercase();
    lower.replace(|it| !kept(it), "").replace(' ', "-")
}

/// A path without `..`, or nothing where it leads out of the checkout.
fn within(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// What is wrong with a link, if something is.
fn fault(document: &Document, target: &str) -> Option<String> {
    if let Some((scheme, rest)) = target.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let has_form =
            scheme == "https" && host.contains('.') && !rest.contains(char::is_whitespace);
        return (!has_form).then(|| "is no address with https".to_owned());
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let folder = document.path.parent().unwrap_or(Path::new(""));
    let path = match file {
        "" => document.path.clone(),
        file => match within(folder, file) {
            Some(path) => path,
            None => return Some("leads out of the checkout".to_owned()),
        },
    };
    if !checkout().join(&path).exists() {
        return Some(format!("there is no {}", path.display()));
    }
    let anchor = anchor?;
    let there = anchors(&Document::named(path));
    (!there.iter().any(|it| it == anchor)).then(|| format!("its headings are {there:?}"))
}

#[test]
fn what_documents_link_to_is_there() {
    let (documents, mut count) = (Document::all(), 0);
    let mut faults = Vec::new();
    for document in &documents {
        for target in targets(&without_code(&document.prose())) {
            count += 1;
            let fault = fault(document, &target);
            let path = document.path.display();
            faults.extend(fault.map(|it| format!("{path}: ({target}) {it}")));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(documents.len() > 15 && count > 80, "{count} links");
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    let document = Document {
        path: PathBuf::from("docs/a.md"),
        text: "# One `thing`, another\n```sh\n# no heading\n```\n## Again\n## Again\n".to_owned(),
    };
    assert_eq!(
        anchors(&document),
        ["one-thing-another", "again", "again-1"]
    );
    let text = "[a](b.md) ![c](d.png) <img src=\"e.png\"> `[f](g.md)` [h](https://i.org/)";
    assert_eq!(
        targets(&without_code(text)),
        ["b.md", "d.png", "https://i.org/", "e.png"]
    );
    for good in [
        "dev.md",
        "../README.md#start",
        "https://example.org/a",
        "../local",
    ] {
        assert_eq!(fault(&document, good), None, "{good}");
    }
    for bad in [
        "none.md",
        "README.md",
        "../README.md#none",
        "../../README.md",
        "/README.md",
        "http://example.org/",
        "https://example/a b",
    ] {
        assert!(fault(&document, bad).is_some(), "{bad}");
    }
}

#[test]
fn the_readme_leads_to_every_page() {
    let mut reached = vec![PathBuf::from("README.md")];
    let mut next = 0;
    while next < reached.len() {
        let document = Document::named(reached[next].clone());
        next += 1;
        let folder = document.path.parent().unwrap_or(Path::new(""));
        for target in targets(&document.prose()) {
            let file = target.split('#').next().unwrap_or_default();
            let page =
                within(folder, file).filter(|it| it.extension().is_some_and(|it| it == "md"));
            reached.extend(page.filter(|it| !reached.contains(it)));
        }
    }
    for Document { path, .. } in Document::all() {
        let is_page = path.starts_with("docs") || path.components().count() == 1;
        let is_reached = !is_page || reached.contains(&path);
        assert!(is_reached, "no way from the README to {}", path.display());
    }
}
