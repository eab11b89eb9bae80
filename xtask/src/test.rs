//! Everything that has to hold before a change is good.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cargo::{cargo, chatctl};
use crate::tools::Tools;
use crate::{Outcome, audit, checkout, run, step};

/// Runs all of it, the quick things first. Whatever has to be there is looked for before that: one
/// that is missing shows at once.
pub(crate) fn all() -> Outcome {
    let tools = step("tools", Tools::prepare)?;
    step("format", || run(cargo("fmt").args(["--all", "--check"])))?;
    step("lints", || {
        let mut clippy = cargo("clippy");
        clippy.args(["--workspace", "--all-features", "--all-targets"]);
        run(clippy.args(["--", "--deny", "warnings"]))
    })?;
    step("documentation", || {
        let mut doc = cargo("doc");
        doc.args(["--workspace", "--no-deps", "--document-private-items"]);
        run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    audit::dependencies(&tools.scanners)?;
    step("unit and end-to-end tests", || {
        let mut test = cargo("test");
        // One run tells everything that fails.
        test.args(["--workspace", "--no-fail-fast"])
            .env("CHAT_TEST_BOTO3", tools.boto3.folder())
            .env("CHAT_TEST_JAVASCRIPT_SDK", &tools.javascript_sdk)
            .env("CHROMIUM", tools.browser.path());
        run(&mut test)
    })?;
    let chatctl = step("chatctl", chatctl)?;
    step("template lint", || lint_template(&tools, &chatctl))?;
    audit::templates(&tools.scanners, &tools.target, &chatctl)?;
    step("the page's rules", || {
        run(page_tests().args(["state.test.mjs", "page.test.mjs", "sign-in-rules.test.mjs"]))
    })?;
    step("the page in the browser", || {
        let screenshots = tools.target.join("screenshots");
        make_folder(&screenshots)?;
        let mut tests = page_tests();
        tests
            .args(["chat.test.mjs", "sign-in.test.mjs"])
            .env("CHATCTL", &chatctl)
            .env("CHROMIUM", tools.browser.path())
            .env("SCREENSHOTS", screenshots);
        run(&mut tests)
    })
}

/// `chatctl synth | cfn-lint`, warnings and advice included, in both formats, and the templates beside the chat's.
fn lint_template(tools: &Tools, chatctl: &Path) -> Outcome {
    let beside = ["bootstrap.yaml", "access-logs.yaml"];
    run(tools
        .cfn_lint
        .command("cfn-lint")
        .args(["--include-checks", "I", "--"])
        .args(beside.map(|name| checkout().join("cloudformation/bootstrap").join(name))))?;
    for format in ["yaml", "json"] {
        let mut synth = Command::new(chatctl);
        let synthesized = synth.args(["synth", "--format", format]).output();
        let synthesized =
            synthesized.map_err(|error| format!("`chatctl` cannot be run: {error}"))?;
        if !synthesized.status.success() {
            return Err(String::from_utf8_lossy(&synthesized.stderr).into_owned());
        }
        let mut lint = tools.cfn_lint.command("cfn-lint");
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

/// Node's own test runner, in the folder of the page's tests.
fn page_tests() -> Command {
    let mut node = Command::new("node");
    // The page's modules lie in a folder without a package.json, which Node would remark on.
    node.current_dir(checkout().join("e2e/browser"))
        .args(["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--test"])
        .args(["--test-reporter", "spec"])
        // One file after the other: some tests measure time.
        .arg("--test-concurrency=1");
    node
}

fn make_folder(folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("`{}` cannot be made: {error}", folder.display()))
}
