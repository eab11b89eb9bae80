//! The licence texts of all that is compiled into what is handed out, from the crates themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::paths::sysroot;
use crate::cargo::cargo;
use crate::{Outcome, output_of};

/// What is handed out is made from these.
const ROOTS: [&str; 2] = ["chatctl", "handlers"];

/// What the names of files with licences begin with.
const NAMES: [&str; 6] = [
    "license",
    "licence",
    "copying",
    "notice",
    "unlicense",
    "copyright",
];

const MIT: &str = "\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the \"Software\"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the
Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL
THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.";

/// Folders of a crate that nothing is compiled from.
const NOT_COMPILED: [&str; 5] = ["tests", "examples", "benches", "npm", "sqlcipher"];

/// The file with the licences of Rust's standard library and of what that contains.
pub(super) const STANDARD_LIBRARY: &str = "RUST-LIBRARY.html";

/// Where Rust has that file.
pub(super) fn of_the_standard_library() -> Outcome<PathBuf> {
    let path = sysroot()?.join("share/doc/rust/COPYRIGHT-library.html");
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "`{}` is not there; it comes with Rust from https://rustup.rs",
        path.display()
    ))
}

/// The document: a list of the crates, and each text once, with those whose it is.
pub(super) fn collect(target: &str) -> Outcome<String> {
    let mut metadata = cargo("metadata");
    metadata.args(["--format-version", "1", "--filter-platform", target]);
    let metadata: Value = serde_json::from_slice(&output_of(&mut metadata)?)
        .map_err(|error| format!("cargo's metadata: {error}"))?;
    let ids = compiled(&metadata);
    let packages = metadata["packages"].as_array().into_iter().flatten();
    // A path is a member's, whose licence is `LICENSE`.
    let packages = packages.filter(|it| ids.contains(text(&it["id"])) && !it["source"].is_null());
    let mut list = BTreeMap::new();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages {
        let name = format!("{} {}", text(&package["name"]), text(&package["version"]));
        let licence = package["license"].as_str().unwrap_or("see its text below");
        let manifest = Path::new(text(&package["manifest_path"]));
        let found = texts_in(manifest.parent().unwrap_or(manifest))?;
        let remark = if found.is_empty() {
            "; it brings no text"
        } else {
            ""
        };
        let found = if found.is_empty() && !licence.contains("Apache-2.0") {
            vec![standard(&name, licence, &package["authors"])?]
        } else {
            found
        };
        let home = text(&package["repository"]);
        list.insert(name.clone(), format!("{licence}{remark}; {home}"));
        for found in found {
            texts.entry(found).or_default().insert(name.clone());
        }
    }
    if list.is_empty() {
        return Err("cargo's metadata tells of no crate".to_owned());
    }
    Ok(document(&list, &texts))
}

/// The text of a crate that brings none. It has to be one that lets it be passed on with that.
fn standard(name: &str, licence: &str, authors: &Value) -> Outcome<String> {
    if !licence.split([' ', '/']).any(|it| it == "MIT") {
        return Err(format!("`{name}` ({licence}) brings no licence text"));
    }
    let authors = authors.as_array().into_iter().flatten().map(text);
    let authors: Vec<_> = authors.collect();
    let authors = if authors.is_empty() {
        format!("the authors of {name}")
    } else {
        authors.join(", ")
    };
    Ok(format!("Copyright (c) {authors}\n\n{MIT}"))
}

fn document(list: &BTreeMap<String, String>, texts: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut document = "\
This program contains Rust's standard library (its licences are in the file RUST-LIBRARY.html), SQLite (in the
public domain; https://sqlite.org) and these crates. Their licences' texts follow. Where a crate brings no text
and its licence names Apache-2.0, that is the one of the file LICENSE.

"
    .to_owned();
    // Writing to a string does not fail.
    for (name, licence) in list {
        let _ = writeln!(document, "{name}: {licence}");
    }
    for (text, names) in texts {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let line = "-".repeat(80);
        let _ = write!(
            document,
            "\n{line}\n{}\n{line}\n\n{text}\n",
            names.join(", ")
        );
    }
    document
}

/// The ids of all packages that are compiled into the roots, for which what only builds or tests them does
/// not count.
fn compiled(metadata: &Value) -> BTreeSet<&str> {
    let nodes = metadata["resolve"]["nodes"].as_array();
    let nodes: BTreeMap<&str, &Value> = nodes
        .into_iter()
        .flatten()
        .map(|node| (text(&node["id"]), node))
        .collect();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut open: Vec<&str> = packages
        .filter(|it| ROOTS.contains(&text(&it["name"])) && it["source"].is_null())
        .map(|it| text(&it["id"]))
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).and_then(|it| it["deps"].as_array());
        for dependency in dependencies.into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            if kinds.into_iter().any(|it| it["kind"].is_null()) {
                open.push(text(&dependency["pkg"]));
            }
        }
    }
    seen
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The licence texts of a crate and of what others wrote of it, by their files' names.
fn texts_in(folder: &Path) -> Outcome<Vec<String>> {
    let mut paths = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().to_lowercase();
            if entry.file_type().map_err(failed)?.is_dir() {
                open.extend((!NOT_COMPILED.contains(&&*name)).then(|| entry.path()));
            } else if is_licence(&name) {
                paths.push(entry.path());
            }
        }
    }
    // Those of the crate itself first.
    paths.sort_by_key(|it| (it.components().count(), it.clone()));
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    let texts = paths.iter().map(read).collect::<Outcome<Vec<_>>>()?;
    let texts = texts
        .iter()
        .map(|it| String::from_utf8_lossy(it).replace("\r\n", "\n"));
    Ok(texts.map(|it| it.trim_end().to_owned()).collect())
}

/// Whether a file with this name in small letters is one, and no program about them.
fn is_licence(name: &str) -> bool {
    let is_program = Path::new(name).extension().is_some_and(|it| it == "rs");
    !is_program && NAMES.iter().any(|it| name.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_what_is_compiled_in_are_there_once_and_of_nothing_else() {
        let target = "x86_64-unknown-linux-gnu";
        let document = collect(target).unwrap();
        assert!(document.contains("\nring 0."), "compiled into chatctl");
        assert!(
            document.contains("\nlambda_runtime 1."),
            "compiled into the functions"
        );
        assert!(!document.contains("\nrcgen 0."), "of the tests alone");
        assert!(!document.contains("\nchatctl 0."), "ours");
        let apache = document
            .matches("Permission is hereby granted, free of charge")
            .count();
        assert!(apache > 1, "{apache}");
        assert_eq!(document, collect(target).unwrap());
        // Code of others inside a crate: of `ring` and of `tracing-core`.
        assert!(document.contains("the fiat-crypto authors"), "fiat");
        assert!(document.contains("Mathijs van de Nes"), "spin");
        // Crates that bring no text have that of the licence, word for word.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (brought, ours) = (document.replace(MIT, ""), words(MIT));
        assert!(
            document.contains("\nCopyright (c) Michael Bryan"),
            "include_dir"
        );
        assert!(
            words(&brought).contains(&ours),
            "nobody else has these words"
        );
    }

    #[test]
    fn what_is_called_like_a_licence_and_is_a_program_is_none() {
        for (name, expected) in [
            ("license", true),
            ("license-mit.md", true),
            ("copying.txt", true),
            ("notice.rs", false),
            ("readme.md", false),
        ] {
            assert_eq!(is_licence(name), expected, "{name}");
        }
    }

    #[test]
    fn the_licences_of_the_standard_library_are_there() {
        let path = of_the_standard_library().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("hashbrown"), "what it contains is named, too");
    }

    #[test]
    fn a_crate_without_a_text_has_that_of_its_licence_or_is_not_handed_out() {
        let authors = serde_json::json!(["Ann <ann@example.org>", "Bob"]);
        for licence in ["MIT", "ISC OR MIT", "Zlib/MIT"] {
            let text = standard("x 1.0.0", licence, &authors).unwrap();
            let owners = "Copyright (c) Ann <ann@example.org>, Bob\n";
            assert!(text.starts_with(owners), "{text}");
            assert!(text.contains("shall be included in all copies"), "{text}");
        }
        let nobody = standard("x 1.0.0", "MIT", &Value::Null).unwrap();
        assert!(nobody.contains("the authors of x 1.0.0"), "{nobody}");
        let refused = standard("x 1.0.0", "MPL-2.0", &authors).unwrap_err();
        assert!(refused.contains("x 1.0.0"), "{refused}");
    }
}
