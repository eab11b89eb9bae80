//! Everything that has to hold before a change is good.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::tools::{Browser, Python, node_modules};
use crate::{Outcome, cargo, checkout, run, step, target};

/// Pinned, so that a new rule of the linter is met on purpose.
const CFN_LINT: &str = "cfn-lint==1.58.0";

/// Runs all of it, the quick things first.
pub(crate) fn all() -> Outcome {
    step("format", || run(cargo().args(["fmt", "--all", "--check"])))?;
    step("lints", || {
        run(cargo().args([
            "clippy",
            "--workspace",
            "--all-features",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]))
    })?;
    step("documentation", || {
        let mut doc = cargo();
        doc.args([
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ]);
        run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    step("unit and end-to-end tests", || {
        run(cargo().args(["test", "--workspace"]))
    })?;
    step("template lint", lint_template)?;
    step("the page's rules", || {
        page_tests(&["state.test.mjs", "page.test.mjs"], None)
    })?;
    let browser = step("browser", Browser::find_or_install)?;
    step("the page in the browser", || {
        page_tests(&["chat.test.mjs"], Some(&browser))
    })
}

/// `chatctl synth | cfn-lint`, warnings and advice included, in both formats.
fn lint_template() -> Outcome {
    let python = Python::with(CFN_LINT)?;
    run(cargo().args(["build", "--package", "chatctl"]))?;
    for format in ["yaml", "json"] {
        let mut synth = Command::new(target().join("debug/chatctl"));
        let synthesized = synth.args(["synth", "--format", format]).output();
        let synthesized =
            synthesized.map_err(|error| format!("`chatctl` cannot be run: {error}"))?;
        if !synthesized.status.success() {
            return Err(String::from_utf8_lossy(&synthesized.stderr).into_owned());
        }
        let mut lint = python.command("cfn-lint");
        feed(lint.args(["--include-checks", "I"]), &synthesized.stdout)?;
    }
    Ok(())
}

fn feed(command: &mut Command, input: &[u8]) -> Outcome {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| format!("`{program}` cannot be run: {error}");
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{program}` found something ({status})"))
    }
}

/// Some of the page's tests, with Node's own test runner.
fn page_tests(files: &[&str], browser: Option<&Browser>) -> Outcome {
    let folder = checkout().join("e2e/browser");
    node_modules(&folder)?;
    let mut node = Command::new("node");
    // The page's modules lie in a folder without a package.json, which Node would remark on.
    node.current_dir(&folder)
        .args(["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--test"])
        .args(["--test-reporter", "spec"])
        .args(files);
    if let Some(browser) = browser {
        run(cargo().args(["build", "--package", "chatctl"]))?;
        let screenshots = target().join("screenshots");
        make_folder(&screenshots)?;
        node.env("CHATCTL", target().join("debug/chatctl"))
            .env("CHROMIUM", browser.path())
            .env("SCREENSHOTS", screenshots);
    }
    run(&mut node)
}

fn make_folder(folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("`{}` cannot be made: {error}", folder.display()))
}
