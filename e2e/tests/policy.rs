//! The policy that `chatctl synth --deployer-policy` prints is enough to deploy, change and destroy the
//! stage that it is for, and no other. The AWS of the tests does not check what CloudFormation asks for in
//! the caller's name; so this is the policy of who hands it a role, which has nothing but `chatctl`'s own.

use std::path::PathBuf;
use std::process::Output;

use e2e::chatctl;
use e2e::ministack::{Ministack, User};
use serde_json::json;

#[tokio::test]
async fn the_printed_policy_is_enough_for_its_stage_and_opens_no_other() {
    let ministack = Ministack::start().await;
    let deployer = deployer(&ministack, "dev").await;
    let files = Files::new();
    let [one, other, page] = ["one", "other", "page"].map(|it| files.path(it));
    let deploy = ["deploy", "--bootstrap", &one];
    let changed = [&deploy[..], &["--wwwroot", &page]].concat();
    let hotswap = ["deploy", "--hotswap", "--bootstrap", &other];
    for arguments in [
        &deploy[..],
        &deploy,
        &changed,
        &hotswap,
        // Puts the functions right.
        &deploy,
        &["urls"],
    ] {
        succeeds(&deployer.run(arguments).await, arguments);
    }

    let other = [&deploy[..], &["--stage", "prod"]].concat();
    let refused = deployer.run(&other).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("the permission `cloudformation:"), "{said}");

    let destroy = ["destroy", "--yes"];
    succeeds(&deployer.run(&destroy).await, &destroy);
    let left = ministack
        .aws("cloudformation", "describe_stacks", json!({}))
        .await;
    assert_eq!(left["Stacks"], json!([]));
}

const ROLE: &str = "arn:aws:iam::000000000000:role/deploys";

/// Whoever may do what a stage's policy says.
async fn deployer<'a>(ministack: &'a Ministack, stage: &str) -> User<'a> {
    let synth = ["synth", "--stage", stage, "--deployer-policy"];
    let synth = [&synth[..], &["--role-arn", ROLE]].concat();
    let printed = chatctl::run(&synth).await.stdout;
    let policy = String::from_utf8(printed).expect("text");
    User::new(ministack, "deployer", &policy).await
}

fn succeeds(output: &Output, arguments: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
}

/// Two programs and another page.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let folder = chatctl::target().join(format!("tmp/policy-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("page")).expect("a folder below cargo's own");
        let mut program = std::fs::read(chatctl::packaged_bootstrap()).expect("it was built");
        std::fs::write(folder.join("one"), &program).expect("a file in a new folder");
        // One byte more, which the program does not look at.
        program.push(0);
        std::fs::write(folder.join("other"), program).expect("a file in a new folder");
        std::fs::write(folder.join("page/index.html"), "new").expect("a file in a new folder");
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
