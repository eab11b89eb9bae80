//! The worked examples of `CONTRIBUTING.md`, done: each is a patch of the sources as they are, and its test passes.
//! All of them are done on one copy, so that it is built once.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::chatctl::{checkout, target};
use e2e::checkout;

/// A patch in `examples/`, the package that it changes, and the test that it brings.
const EXAMPLES: [(&str, &str, &str); 3] = [
    (
        "frame",
        "handlers",
        "whoever_asks_is_told_the_servers_time_and_nobody_hears_of_it",
    ),
    (
        "command",
        "chatctl",
        "the_frames_are_those_of_clients_and_no_others",
    ),
    (
        "resource",
        "chatctl",
        "notes_go_to_whoever_hears_of_alarms_and_are_there_with_the_address_alone",
    ),
];

/// What else has to hold of the commands and the template, whoever adds to them.
const KEPT: [&str; 3] = [
    "every_command_is_shown_in_the_documentation_within_80_columns",
    "every_command_has_examples",
    "logical_ids_are_pascal_case_and_end_in_their_kind",
];

/// A copy of the sources, which goes with the test.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        let folder = target().join("tmp/examples");
        let _ = std::fs::remove_dir_all(&folder);
        checkout::copy(&folder, "examples");
        Self(folder)
    }

    fn apply(&self, patch: &Path) {
        let mut git = Command::new("git");
        // Below a checkout, git would look for the files there.
        git.env("GIT_CEILING_DIRECTORIES", target().join("tmp"))
            .args(["apply", "-C1"])
            .arg(patch);
        let output = run(git.current_dir(&self.0));
        assert!(
            output.status.success(),
            "{} does not apply any more: {}",
            patch.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs tests of a package, and gives what they say.
    fn test(&self, package: &str, tests: &[&str]) -> String {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // The variables that tell a test which package it is of would make some build scripts run again.
        let own =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars().filter(|(name, _)| own(name)) {
            cargo.env_remove(name);
        }
        cargo
            .args(["test", "--locked", "--offline", "--package", package, "--"])
            .args(tests)
            // What others have compiled is used, and no program of theirs is overwritten.
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .env("CARGO_BUILD_BUILD_DIR", target())
            .current_dir(&self.0);
        let output = run(&mut cargo);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{package}: {said}\n{told}");
        said
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(command: &mut Command) -> Output {
    command.output().expect("it can be run")
}

#[test]
fn each_example_applies_is_told_of_and_its_test_passes() {
    let guide = std::fs::read_to_string(checkout().join("CONTRIBUTING.md")).expect("text");
    let copy = Copy::new();
    for (name, _, _) in EXAMPLES {
        let patch = format!("e2e/tests/examples/{name}.patch");
        assert!(guide.contains(&format!("({patch})")), "{patch}");
        copy.apply(&checkout().join(patch));
    }
    for package in ["handlers", "chatctl"] {
        let of = EXAMPLES.iter().filter(|it| it.1 == package);
        let mut tests: Vec<&str> = of.map(|it| it.2).collect();
        if package == "chatctl" {
            tests.extend(KEPT);
        }
        let said = copy.test(package, &tests);
        for test in tests {
            let line = said.lines().find(|it| it.contains(test));
            assert!(line.is_some_and(|it| it.ends_with("... ok")), "{said}");
        }
    }
}
