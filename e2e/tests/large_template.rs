//! A template of one's own that is larger than a request may be: it goes through the bucket of packages, with
//! no more rights than any other, and leaves nothing there.

use std::path::{Path, PathBuf};

use e2e::chatctl;
use e2e::ministack::{Ministack, User};
use serde_json::{Value, json};

/// What a request takes of a template.
const OF_A_REQUEST: usize = 51_200;

const ROLE: &str = "arn:aws:iam::000000000000:role/deploys";

#[tokio::test]
async fn a_template_that_no_request_takes_is_deployed_changed_rolled_back_and_destroyed() {
    let ministack = Ministack::start().await;
    let sources = Sources::new();
    let (source, program) = (sources.path(), chatctl::packaged_bootstrap());
    let program = program.display().to_string();
    let own = ["--source", &source, "--bootstrap", &program];
    let deploy = [&["deploy", "--json"], &own[..]].concat();

    sources.annotate("first");
    let synth = chatctl::run(&["synth", "--source", &source]).await.stdout;
    assert!(synth.len() > OF_A_REQUEST, "{} bytes", synth.len());
    let policy = ["synth", "--deployer-policy", "--role-arn", ROLE];
    let policy = chatctl::run(&policy).await.stdout;
    let policy = String::from_utf8(policy).expect("text");
    let deployer = User::new(&ministack, "deployer", &policy).await;

    let made = result(&deployer, &deploy).await;
    assert_eq!(made["changed"], true);
    let template = json!({"StackName": "chat-dev", "TemplateStage": "Original"});
    let template = ministack.aws("cloudformation", "get_template", template);
    let template = template.await["TemplateBody"].clone();
    assert_eq!(template.as_str().expect("text").as_bytes(), synth);
    let again = result(&deployer, &deploy).await;
    assert_eq!(again["changed"], false);
    assert_eq!(asides(&ministack).await, [""; 0]);

    sources.annotate("second");
    let diff = [&["diff", "--json"], &own[..]].concat();
    let output = deployer.run(&diff).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(asides(&ministack).await, [""; 0]);
    sources.write(
        "wwwroot/index.html",
        "<!doctype html><title>another</title>",
    );
    let changed = result(&deployer, &deploy).await;
    assert_eq!(changed["changed"], true);
    // Takes the stack's own template, which is as large.
    let back = result(&deployer, &["rollback", "--to", "2", "--json"]).await;
    assert_eq!(back["changed"], true);
    assert_eq!(asides(&ministack).await, [""; 0]);

    let destroy = ["destroy", "--yes", "--json"];
    result(&deployer, &destroy).await;
    let left = ministack.aws("s3", "list_buckets", json!({})).await;
    assert_eq!(left["Buckets"], json!([]));
}

/// The last line of a command with `--json`.
async fn result(deployer: &User<'_>, arguments: &[&str]) -> Value {
    let output = deployer.run(arguments).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().expect("a result");
    serde_json::from_str(last).expect("a line of JSON")
}

/// What is left in the bucket of packages that is no package, no release and no rollback's note.
async fn asides(ministack: &Ministack) -> Vec<String> {
    let listed = ministack.aws("s3", "list_buckets", json!({})).await;
    let buckets = listed["Buckets"].as_array().cloned().unwrap_or_default();
    let names = buckets.iter().filter_map(|it| it["Name"].as_str());
    let mut packages = names.filter(|it| it.starts_with("chatctl-artifacts"));
    let bucket = packages.next().expect("the bucket of packages");
    let listed = ministack.aws("s3", "list_objects_v2", json!({"Bucket": bucket}));
    let objects = listed.await["Contents"].as_array().cloned();
    let keys = objects.unwrap_or_default().into_iter();
    let keys = keys.map(|it| it["Key"].as_str().unwrap_or_default().to_owned());
    keys.filter(|it| !is_known(it)).collect()
}

fn is_known(key: &str) -> bool {
    let is_zip = Path::new(key).extension().is_some_and(|it| it == "zip");
    let is_kept = is_zip && (key.starts_with("functions/") || key.starts_with("releases/"));
    is_kept || key == "releases/dev/.going-to"
}

/// Sources with a template of one's own; nobody builds them.
struct Sources(PathBuf);

impl Sources {
    fn new() -> Self {
        let folder = chatctl::target().join(format!("tmp/large-{}", std::process::id()));
        for part in ["handlers", "wwwroot", "cloudformation"] {
            std::fs::create_dir_all(folder.join(part)).expect("a folder below cargo's own");
        }
        let sources = Self(folder.canonicalize().expect("made"));
        sources.write("Cargo.toml", "");
        sources.write("handlers/Cargo.toml", "");
        sources.write("wwwroot/index.html", "<!doctype html><title>page</title>");
        let fragments = std::fs::read_dir(chatctl::checkout().join("cloudformation"));
        for entry in fragments.expect("a folder of the checkout") {
            let file = entry.expect("a file").path();
            if file.extension().is_some_and(|it| it == "yaml") {
                let name = file.file_name().expect("a file").to_string_lossy();
                let text = std::fs::read_to_string(&file).expect("text");
                sources.write(&format!("cloudformation/{name}"), &text);
            }
        }
        sources
    }

    /// One more fragment, which makes the template larger than a request may be.
    fn annotate(&self, with: &str) {
        let line = format!("  {with}: \"{}\"\n", "of one's own, ".repeat(300));
        let lines: String = (0..4)
            .map(|it| line.replacen(with, &format!("{with}{it}"), 1))
            .collect();
        self.write("cloudformation/own.yaml", &format!("Metadata:\n{lines}"));
    }

    fn write(&self, file: &str, content: &str) {
        std::fs::write(self.0.join(file), content).expect("a file of the sources");
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
