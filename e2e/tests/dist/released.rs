//! What a tag sets off.

use std::path::PathBuf;
use std::process::{Command, Output};

use e2e::chatctl::checkout;

const MANIFEST: &str = "[workspace]\n\n[workspace.package]\nversion = \"1.2.3\"\n";

/// A checkout with a changelog and what reads it. It goes with the test.
struct Checkout(PathBuf);

impl Checkout {
    fn new(name: &str, changelog: &str) -> Self {
        let name = format!("chatctl-{name}-{}", std::process::id());
        let root = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(root.0.join(".ci")).expect("a folder");
        std::fs::copy(checkout().join(".ci/notes"), root.0.join(".ci/notes")).expect("a copy");
        std::fs::write(root.0.join("Cargo.toml"), MANIFEST).expect("a file");
        std::fs::write(root.0.join("CHANGELOG.md"), changelog).expect("a file");
        root
    }

    fn notes(&self, tag: &str) -> Output {
        let output = Command::new(self.0.join(".ci/notes")).arg(tag).output();
        output.expect("it runs")
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_releases_notes_are_its_part_of_the_changelog_alone() {
    let changelog = "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.3 - 2026-01-02\n\n### Added\n\n- this\n\n\
                     ## 1.2.30\n\n- later\n\n## 1.2.2\n\n- old\n";
    let told = Checkout::new("notes", changelog).notes("v1.2.3");
    assert!(told.status.success(), "{told:?}");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(text.trim(), "### Added\n\n- this");
}

#[test]
fn a_tag_of_another_version_or_of_one_that_the_changelog_does_not_know_is_no_release() {
    let checkout = Checkout::new(
        "no-notes",
        "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.2\n",
    );
    for (tag, problem) in [
        (
            "v1.2.4",
            "the tag is `v1.2.4`, and Cargo.toml has version 1.2.3",
        ),
        ("1.2.3", "the tag is `1.2.3`"),
        ("v1.2.3", "CHANGELOG.md has nothing below `## 1.2.3`"),
    ] {
        let refused = checkout.notes(tag);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{tag}: {said}");
        assert!(said.contains(problem), "{tag}: {said}");
        assert!(refused.stdout.is_empty(), "{tag}");
    }
}

#[test]
fn a_tag_sets_off_what_the_document_says() {
    let read = |file: &str| std::fs::read_to_string(checkout().join(file)).expect(file);
    let (workflow, document) = (
        read(".github/workflows/release.yml"),
        read("docs/releasing.md"),
    );
    for command in ["cargo xtask dist --check", ".ci/notes"] {
        assert!(workflow.contains(command), "{command}");
        assert!(document.contains(command), "{command}");
    }
    // The document has the system and the Rust that it is made with, which the bytes depend on.
    let image = workflow
        .split_whitespace()
        .find(|it| it.starts_with("rust:"));
    let image = image.expect("a container's name");
    assert!(document.contains(image), "{image}");
    let rust = format!(
        "rust-version = \"{}\"",
        image
            .trim_start_matches("rust:")
            .split('-')
            .next()
            .unwrap_or_default()
    );
    assert!(read("Cargo.toml").contains(&rust), "{rust}");
}
