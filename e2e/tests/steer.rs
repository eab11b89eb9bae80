//! A deployed chat that is steered: its settings in a file, its protection, and the way back from a bad
//! deploy, run as a person runs them.

#[path = "steer/rollback.rs"]
mod rollback;

use std::path::{Path, PathBuf};

use e2e::ministack::{Ministack, REGION, is_by_a_function};
use e2e::{chatctl, within_deadline};
use serde_json::{Value, json};

/// What a client is told when it has come in; no other word of the program is like it.
const JOINED: &[u8] = b"joined";

#[tokio::test]
async fn after_a_bad_deploy_a_rollback_brings_back_the_code_and_the_page_that_worked() {
    let ministack = Ministack::start().await;
    let folder = Folder::new("rollback");
    let bootstrap = folder.write("bootstrap", &good_bootstrap());
    let page = folder.page("page", "one");
    let deploy = ["deploy", "--bootstrap", &bootstrap, "--wwwroot", &page];
    let deploy = [&deploy[..], &["--history-days", "30"]].concat();
    let deploy_json = [&deploy[..], &["--json"]].concat();

    let nothing = chatctl::run_on(&ministack, &["rollback"]).await;
    let said = stderr(&nothing);
    assert_eq!(nothing.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no stack `chat-dev`"), "{said}");

    let first = chatctl::result_on(&ministack, &deploy_json).await;
    let (site, websocket) = (text(&first["site"]), text(&first["websocket"]));
    let nothing = chatctl::run_on(&ministack, &["rollback"]).await;
    let said = stderr(&nothing);
    assert_eq!(nothing.status.code(), Some(1), "{said}");
    assert!(said.contains("but what it runs already"), "{said}");
    let good = parameter(&ministack, "CodeKey").await;

    // Functions that answer wrongly, and another page with them.
    folder.write("bootstrap", &bad_bootstrap());
    folder.page("page", "two");
    let bad = [&deploy[..], &["--verify-timeout", "15s"]].concat();
    let bad = chatctl::run_on(&ministack, &bad).await;
    let said = stderr(&bad);
    assert_eq!(bad.status.code(), Some(1), "{said}");
    assert!(
        said.contains("error: the chat is deployed and does not work after 15s"),
        "{said}"
    );
    assert!(
        said.contains("hint: `chatctl rollback --stage dev --to ")
            && said.contains("` goes back to the code and the page that worked on 20"),
        "{said}"
    );
    assert_ne!(parameter(&ministack, "CodeKey").await, good);
    assert_eq!(index(&ministack, site).await, "two");

    let back = chatctl::run_on(&ministack, &["rollback"]).await;
    let said = stderr(&back);
    assert_eq!(back.status.code(), Some(0), "{said}");
    assert!(
        said.contains("rolling back `chat-dev`") && said.contains("  rolled back in "),
        "{said}"
    );
    assert!(String::from_utf8_lossy(&back.stdout).contains(websocket));
    assert_eq!(parameter(&ministack, "CodeKey").await, good);
    assert_eq!(
        parameter(&ministack, "HistoryDays").await,
        "30",
        "as it was deployed"
    );
    assert_eq!(index(&ministack, site).await, "one");
    let mut ann = ministack.socket(websocket).await;
    ann.send(json!({"type": "create", "name": "ann"})).await;
    assert_eq!(ann.next().await["type"], "joined");
    ann.close().await;

    // A swap that no stack knows of is gone back from as well.
    let hotswap = ["deploy", "--hotswap", "--bootstrap", &bootstrap];
    let tried = [&hotswap[..], &["--verify", "--verify-timeout", "3s"]].concat();
    let tried = chatctl::run_on(&ministack, &tried).await;
    assert_eq!(tried.status.code(), Some(1), "{}", stderr(&tried));
    assert!(stderr(&tried).contains("does not work after 3s"));
    the_functions_differ(&ministack, &folder.write("good", &good_bootstrap())).await;
    let back = chatctl::result_on(&ministack, &["rollback", "--json"]).await;
    assert_eq!(
        back["changed"], true,
        "what runs is looked at, not what the stack names"
    );

    // Forward again: what was bad is mended.
    folder.write("bootstrap", &[good_bootstrap(), vec![0]].concat());
    chatctl::result_on(&ministack, &deploy_json).await;
    assert_eq!(index(&ministack, site).await, "two");
    let newest = parameter(&ministack, "CodeKey").await;
    let listed = chatctl::result_on(&ministack, &["rollback", "--list", "--json"]).await;
    let releases = listed["releases"].as_array().expect("a list");
    let runs: Vec<_> = releases.iter().map(|it| it["runs"].clone()).collect();
    assert_eq!(
        runs,
        [true, false],
        "the bad one is not among them: {listed}"
    );
    assert!(newest.contains(text(&releases[0]["package"])), "{listed}");

    there_and_back(&ministack, site, &good, releases).await;

    chatctl::result_on(&ministack, &["destroy", "--yes", "--json"]).await;
    let left = ministack.aws("s3", "list_buckets", json!({})).await;
    assert_eq!(left["Buckets"], json!([]));
}

/// A deploy of what the stack names would put right what was swapped.
async fn the_functions_differ(ministack: &Ministack, bootstrap: &str) {
    let diff = ["diff", "--json", "--bootstrap", bootstrap];
    let diff = [&diff[..], &["--history-days", "30"]].concat();
    let diff = chatctl::result_on(ministack, &diff).await;
    let changes = diff["changes"].as_array().expect("a list").iter();
    let mut functions: Vec<_> = changes.map(|it| text(&it["resource"])).collect();
    functions.sort_unstable();
    assert_eq!(
        functions,
        ["ActionFunction", "ConnectFunction", "DisconnectFunction"],
        "{diff}"
    );
}

/// From the newest of two releases to the other one and again to the newest.
async fn there_and_back(ministack: &Ministack, site: &str, good: &str, releases: &[Value]) {
    let newest = parameter(ministack, "CodeKey").await;
    // By its name and by its number, there and back.
    let name = &text(&releases[1]["release"])[..8];
    let by_name = chatctl::result_on(ministack, &["rollback", "--to", name, "--json"]).await;
    assert_eq!(by_name["release"], releases[1]["release"]);
    assert_eq!(parameter(ministack, "CodeKey").await, good);
    assert_eq!(index(ministack, site).await, "one");
    chatctl::result_on(ministack, &["rollback", "--to", "2", "--json"]).await;
    assert_eq!(parameter(ministack, "CodeKey").await, newest);
    let same = chatctl::result_on(ministack, &["rollback", "--to", "1", "--json"]).await;
    assert_eq!(same["changed"], false, "it runs already");
    let unknown = chatctl::run_on(ministack, &["rollback", "--to", "9"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("there is no release `9`"));

    // One whose package somebody has deleted.
    let bucket = parameter(ministack, "CodeBucket").await;
    let gone = json!({"Bucket": bucket, "Key": good});
    ministack.aws("s3", "delete_object", gone).await;
    let missing = chatctl::run_on(ministack, &["rollback"]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("is not in the bucket"),
        "{}",
        stderr(&missing)
    );
    assert_eq!(
        parameter(ministack, "CodeKey").await,
        newest,
        "nothing was done"
    );
}

#[tokio::test]
async fn a_protected_chat_is_not_destroyed_and_leaves_its_table_if_that_is_asked_for() {
    let ministack = Ministack::start().await;
    let folder = Folder::new("protect");
    let bootstrap = folder.write("bootstrap", &good_bootstrap());
    let deploy = ["deploy", "--json", "--bootstrap", &bootstrap];

    let first = chatctl::result_on(&ministack, &[&deploy[..], &["--protect", "on"]].concat()).await;
    assert_eq!(protection(&ministack).await, (true, "ENABLED".to_owned()));
    let mut ann = ministack.socket(text(&first["websocket"])).await;
    ann.send(json!({"type": "message", "from": "ann", "text": "keep this"}))
        .await;
    assert_eq!(ann.next().await["text"], "keep this");
    ann.close().await;

    // Who says nothing changes nothing, and asks AWS for nothing more.
    let again = chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(again["changed"], false);
    let differs = ["diff", "--json", "--bootstrap", &bootstrap];
    let diff = chatctl::result_on(&ministack, &differs).await;
    assert_eq!(diff["differs"], false, "{diff}");
    let status = chatctl::run_on(&ministack, &["status", "--bootstrap", &bootstrap]).await;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("chat-dev"), "{status}");
    assert!(!status.contains("they differ from here"), "{status}");

    let destroy = ["destroy", "--yes"];
    let refused = chatctl::run_on(&ministack, &destroy).await;
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("error: `chat-dev` is protected against deletion: nothing was done"),
        "{said}"
    );
    assert!(
        said.contains("--protect off") && said.contains("--keep-table"),
        "{said}"
    );
    assert_eq!(protection(&ministack).await, (true, "ENABLED".to_owned()));

    // By hand, in the console: the next deploy puts it right.
    let by_hand = json!({"StackName": "chat-dev", "EnableTerminationProtection": false});
    ministack
        .aws("cloudformation", "update_termination_protection", by_hand)
        .await;
    let diff = chatctl::result_on(&ministack, &differs).await;
    assert_eq!(diff["protection"], "on", "{diff}");
    assert_eq!(
        chatctl::run_on(&ministack, &destroy).await.status.code(),
        Some(2)
    );
    let again = chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(again["changed"], true);
    assert_eq!(protection(&ministack).await, (true, "ENABLED".to_owned()));

    let table = table(&ministack).await;
    let keep = ["destroy", "--yes", "--keep-table", "--json"];
    let destroyed = chatctl::result_on(&ministack, &keep).await;
    let kept = &destroyed["kept"][0];
    assert_eq!(kept["id"], table.as_str(), "{destroyed}");
    let arn = format!("arn:aws:dynamodb:{REGION}:000000000000:table/{table}");
    assert_eq!(kept["arn"], arn.as_str());
    assert_eq!(destroyed["left"], json!([]));
    let scan = ministack.aws("dynamodb", "scan", json!({"TableName": table}));
    let items = scan.await["Items"].to_string();
    assert!(items.contains("keep this"), "{items}");

    // By the command that was told; a name is given twice here, and never on AWS.
    ministack
        .aws("dynamodb", "delete_table", json!({"TableName": table}))
        .await;

    // A new one is not protected because one was.
    chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(protection(&ministack).await, (false, "DISABLED".to_owned()));
    let refused = chatctl::run_on(&ministack, &["destroy", "--yes", "--keep-table"]).await;
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("`chat-dev` is not protected: its table would go"),
        "{said}"
    );

    let on = [&deploy[..], &["--protect", "on"]].concat();
    chatctl::result_on(&ministack, &on).await;
    assert_eq!(protection(&ministack).await, (true, "ENABLED".to_owned()));
    let off = [&deploy[..], &["--protect", "off"]].concat();
    chatctl::result_on(&ministack, &off).await;
    assert_eq!(protection(&ministack).await, (false, "DISABLED".to_owned()));
    let destroyed = chatctl::run_on(&ministack, &destroy).await;
    assert_eq!(destroyed.status.code(), Some(0), "{}", stderr(&destroyed));
    let tables = ministack.aws("dynamodb", "list_tables", json!({})).await;
    assert_eq!(tables["TableNames"], json!([]));
}

#[tokio::test]
async fn a_file_says_where_and_how_and_its_tags_are_the_stacks() {
    let ministack = Ministack::start().await;
    let folder = Folder::new("settings");
    folder.write("bootstrap", &good_bootstrap());
    folder.page("page", "from the file");
    let file = |tags: &str| {
        format!(
            "stage = \"test\"\nregion = \"{REGION}\"\nbootstrap = \"bootstrap\"\nwwwroot = \"page\"\n\
             {tags}\n[stages.test]\nhistory-days = 30\n"
        )
    };
    let path = folder.write("chatctl.toml", file("[tags]\nteam = \"chat\"").as_bytes());
    std::fs::create_dir_all(folder.0.join("inner/.git")).expect("a folder of our own");

    let deployed = run_in(&ministack, &folder.0, &["deploy", "--json"]).await;
    assert_eq!(deployed.status.code(), Some(0), "{}", stderr(&deployed));
    assert!(stderr(&deployed).contains("settings of `chatctl.toml`"));
    let stack = stack_of(&ministack, "chat-test").await;
    assert_eq!(
        field(&stack["Parameters"], "Parameter", "HistoryDays"),
        "30"
    );
    assert_eq!(tag(&stack, "team"), Some("chat"));

    // What a flag says wins, elsewhere nothing is known of the file, and a tag that is gone goes.
    let named = ["deploy", "--json", "--config", &path, "--history-days", "2"];
    folder.write("chatctl.toml", file("").as_bytes());
    let result = chatctl::result_on(&ministack, &named).await;
    assert_eq!(result["stage"], "test");
    let stack = stack_of(&ministack, "chat-test").await;
    assert_eq!(field(&stack["Parameters"], "Parameter", "HistoryDays"), "2");
    assert_eq!(tag(&stack, "team"), None);
    let elsewhere = run_in(&ministack, &folder.0.join("inner"), &["urls"]).await;
    assert!(
        stderr(&elsewhere).contains("`chat-dev`"),
        "{}",
        stderr(&elsewhere)
    );

    let asked = || {
        let requests = ministack.requests().into_iter();
        requests.filter(|it| !is_by_a_function(it)).count()
    };
    let before = asked();
    folder.write("chatctl.toml", b"regoin = \"eu-central-1\"\n");
    let mistaken = run_in(&ministack, &folder.0, &["deploy"]).await;
    assert_eq!(mistaken.status.code(), Some(2));
    assert_eq!(
        stderr(&mistaken),
        "error: chatctl.toml:1:1: there is no setting `regoin`\n\
         hint: is `region` meant? all settings are in docs/settings.md\n"
    );
    assert_eq!(asked(), before, "nothing was asked for");
}

#[tokio::test]
async fn a_destroy_that_cannot_clear_the_packages_tells_what_is_gone_all_the_same() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let folder = Folder::new("receipt");
    let bootstrap = folder.write("bootstrap", &good_bootstrap());
    for stage in ["dev", "dev-2", "dev-3"] {
        let deploy = [
            "deploy",
            "--bootstrap",
            &bootstrap,
            "--cdn",
            "off",
            "--stage",
            stage,
        ];
        let deployed = machine.run(&deploy).await;
        assert_eq!(deployed.status.code(), Some(0), "{}", stderr(&deployed));
    }

    // Of all that a destroy asks for, only the list of packages needs this.
    machine.refuse("s3:ListObjectsV2", "denied", 1).await;
    let refused = machine.run(&["destroy", "--yes", "--json"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("` is missing"),
        "{}",
        stderr(&refused)
    );
    let stdout = String::from_utf8_lossy(&refused.stdout).into_owned();
    let receipt: Value =
        serde_json::from_str(stdout.lines().last().expect("a receipt")).expect("a line of JSON");
    assert!(
        receipt["gone"].as_array().is_some_and(|it| it.len() > 15),
        "{receipt}"
    );

    // The last one of another Region's deploys may have taken the bucket away meanwhile.
    let mut console = machine.console();
    let artifacts = console
        .aws(
            "cloudformation",
            "describe_stacks",
            json!({"StackName": "chatctl-artifacts"}),
        )
        .await;
    let bucket = field(
        &artifacts["Stacks"][0]["Outputs"],
        "Output",
        "ArtifactsBucketName",
    );
    let listed = console
        .aws("s3", "list_objects_v2", json!({"Bucket": bucket}))
        .await;
    for object in listed["Contents"].as_array().expect("packages") {
        let object = json!({"Bucket": bucket, "Key": object["Key"]});
        console.aws("s3", "delete_object", object).await;
    }
    console
        .aws("s3", "delete_bucket", json!({"Bucket": bucket}))
        .await;
    let destroyed = machine.run(&["destroy", "--yes", "--stage", "dev-2"]).await;
    assert_eq!(destroyed.status.code(), Some(0), "{}", stderr(&destroyed));
}

async fn run_in(ministack: &Ministack, folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = chatctl::command(arguments);
    command.envs(ministack.environment()).current_dir(folder);
    let output = within_deadline("end of chatctl", command.output()).await;
    output.expect("chatctl runs")
}

fn good_bootstrap() -> Vec<u8> {
    std::fs::read(chatctl::packaged_bootstrap()).expect("it was built")
}

/// The same program with one word of its answers wrong.
fn bad_bootstrap() -> Vec<u8> {
    let mut program = good_bootstrap();
    let found = program.windows(JOINED.len()).enumerate();
    let places: Vec<_> = found
        .filter(|(_, word)| *word == JOINED)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the word stands in the program");
    for at in places {
        program[at..at + JOINED.len()].copy_from_slice(b"jolted");
    }
    program
}

/// A folder of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = chatctl::target().join(format!("tmp/steer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder below cargo's own");
        Self(folder)
    }

    /// Writes a file and gives its path.
    fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file in a new folder");
        path.to_str().expect("a path of characters").to_owned()
    }

    /// A page that says this, and nothing else.
    fn page(&self, name: &str, says: &str) -> String {
        let folder = self.0.join(name);
        std::fs::create_dir_all(&folder).expect("a folder in a new one");
        self.write(&format!("{name}/index.html"), says.as_bytes());
        folder.to_str().expect("a path of characters").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn index(ministack: &Ministack, site: &str) -> String {
    let page = ministack.get(site).await;
    String::from_utf8_lossy(page.body()).into_owned()
}

/// Whether the stack refuses to be deleted, and whether its table can be had as it was.
async fn protection(ministack: &Ministack) -> (bool, String) {
    let stack = stack_of(ministack, "chat-dev").await;
    let is_on = stack["EnableTerminationProtection"].as_bool();
    let name = json!({"TableName": table(ministack).await});
    let backups = ministack.aws("dynamodb", "describe_continuous_backups", name);
    let backups = backups.await;
    let recovery = &backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    let status = text(&recovery["PointInTimeRecoveryStatus"]).to_owned();
    (is_on.unwrap_or_default(), status)
}

async fn table(ministack: &Ministack) -> String {
    let stack = stack_of(ministack, "chat-dev").await;
    field(&stack["Outputs"], "Output", "ChatTableName")
}

async fn parameter(ministack: &Ministack, name: &str) -> String {
    let stack = stack_of(ministack, "chat-dev").await;
    field(&stack["Parameters"], "Parameter", name)
}

async fn stack_of(ministack: &Ministack, name: &str) -> Value {
    let name = json!({"StackName": name});
    let stacks = ministack.aws("cloudformation", "describe_stacks", name);
    stacks.await["Stacks"][0].clone()
}

fn field(of: &Value, kind: &str, name: &str) -> String {
    let fields = of.as_array().expect("a finished stack");
    let (key, value) = (format!("{kind}Key"), format!("{kind}Value"));
    let found = fields.iter().find(|it| it[&key] == name);
    text(&found.expect(name)[&value]).to_owned()
}

fn tag<'a>(stack: &'a Value, key: &str) -> Option<&'a str> {
    let tags = stack["Tags"].as_array().expect("a finished stack");
    let found = tags.iter().find(|it| it["Key"] == key);
    found.map(|it| text(&it["Value"]))
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
