//! `chatctl dev --watch`: what is edited is there at once, and nobody is thrown out.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::browser;
use e2e::chatctl::{self, Dev, eventually};
use e2e::checkout;
use e2e::client::Client;
use e2e::terminal::Terminal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

/// A build of one package, on a machine that builds others at the same time.
const BUILD_DEADLINE: Duration = Duration::from_mins(10);

/// Clones build in the same folder, and cargo tells one's program from another's by nothing.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A clone of the sources, which goes with the test.
struct Clone(PathBuf);

impl Clone {
    fn new(name: &str) -> Self {
        let folder = chatctl::target().join(format!("tmp/watch-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        checkout::copy(&folder, name);
        Self(folder.canonicalize().expect("copied"))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path of characters")
    }

    /// `chatctl dev --watch` of it, with these variables more. What others have compiled for the checkout is
    /// used, and nothing of theirs is overwritten.
    async fn watched(&self, variables: &[(&str, &str)], stderr: Stdio) -> Dev {
        let _ = chatctl::bootstrap();
        let own = self.0.join("target").display().to_string();
        let shared = chatctl::target().display().to_string();
        let folders = [
            ("CARGO_TARGET_DIR", own.as_str()),
            ("CARGO_BUILD_BUILD_DIR", shared.as_str()),
        ];
        let arguments = ["--watch", "--source", self.path()];
        let variables = [&folders[..], variables].concat();
        Dev::start_in(&arguments, &variables, stderr, BUILD_DEADLINE).await
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).expect("a file of the sources")
    }

    fn write(&self, file: &str, content: &str) {
        std::fs::write(self.0.join(file), content).expect("a file of the sources");
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let content = self.read(file);
        assert!(content.contains(from), "{file}: {from}");
        self.write(file, &content.replace(from, to));
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What `chatctl dev` says, for whoever waits for it.
#[derive(Clone)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    fn by(dev: &mut Dev) -> Self {
        let said = Self(Arc::default());
        let mut lines = BufReader::new(dev.take_stderr().expect("piped")).lines();
        let heard = said.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.0.lock().expect("whole").push(line);
            }
        });
        said
    }

    /// Waits for a line of which `part` is a part, and forgets it and those before it.
    async fn wait_for(&self, part: &str) {
        let since = Instant::now();
        loop {
            {
                let mut lines = self.0.lock().expect("whole");
                if let Some(at) = lines.iter().position(|it| it.contains(part)) {
                    lines.drain(..=at);
                    return;
                }
                assert!(since.elapsed() < BUILD_DEADLINE, "no `{part}`: {lines:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Ann and bob, who talk all the time. Gives what each of them heard when `until` is true.
async fn talk(url: String, until: Arc<Mutex<bool>>) -> (u64, Vec<Vec<Value>>) {
    let mut ann = Client::connect(&url).await;
    let created = ann.ask(json!({"type": "create", "name": "ann"})).await;
    let mut bob = Client::connect(&url).await;
    let join = json!({"type": "join", "room": created["room"], "name": "bob"});
    bob.ask_for("joined", join).await;
    let (mut said, mut heard) = (0, vec![Vec::new(), Vec::new()]);
    while !*until.lock().expect("whole") {
        said += 1;
        let (speaker, listener) = if said % 2 == 0 {
            (&mut ann, &mut bob)
        } else {
            (&mut bob, &mut ann)
        };
        let frame = json!({"type": "message", "id": said.to_string(), "text": said.to_string()});
        heard[0].push(speaker.ask_for("message", frame).await);
        heard[1].push(listener.next_of("message").await);
    }
    ann.close().await;
    bob.close().await;
    (said, heard)
}

#[tokio::test]
async fn a_changed_rule_is_swapped_in_under_two_who_talk_and_they_lose_nothing() {
    const RULE: &str = "pub const TEXT_CHARS_MAX: usize = 4_000;";
    const FILE: &str = "handlers/src/chat/message.rs";
    let _turn = ONE_AT_A_TIME.lock().await;
    let clone = Clone::new("rule");
    // They talk as fast as they hear each other.
    let variables = [("CHATCTL_MESSAGES_PER_SECOND", "0")];
    let mut dev = clone.watched(&variables, Stdio::piped()).await;
    let said = Said::by(&mut dev);

    let until = Arc::new(Mutex::new(false));
    let talking = tokio::spawn(talk(dev.websocket.clone(), Arc::clone(&until)));
    let mut probe = Client::connect(&dev.websocket).await;
    probe.ask(json!({"type": "create", "name": "cat"})).await;
    let long = json!({"type": "message", "text": "x".repeat(30)});
    assert_eq!(probe.ask(long.clone()).await["type"], "message");

    clone.replace(FILE, RULE, "pub const TEXT_CHARS_MAX: usize = 20;");
    said.wait_for("the functions have changed: building them")
        .await;
    said.wait_for("swapped in after").await;
    let refused = probe.ask(long.clone()).await;
    assert_eq!(refused["type"], "error", "{refused}");

    // Nobody gets a program that cannot be built, or that does not start.
    clone.replace(
        FILE,
        "pub const TEXT_CHARS_MAX: usize = 20;",
        "this is no Rust",
    );
    said.wait_for("could not be built; the functions stay as they are")
        .await;
    assert_eq!(probe.ask(long.clone()).await["type"], "error");
    let main = clone.read("handlers/src/main.rs");
    clone.replace(FILE, "this is no Rust", RULE);
    clone.replace(
        "handlers/src/main.rs",
        "fn main() -> ",
        "fn main() -> std::process::ExitCode { std::process::exit(7) } fn _main() -> ",
    );
    said.wait_for("exit status 7").await;
    assert_eq!(probe.ask(long.clone()).await["type"], "error");
    clone.write("handlers/src/main.rs", &main);
    said.wait_for("swapped in after").await;
    assert_eq!(
        probe.ask(long).await["type"],
        "message",
        "the old rule is back"
    );

    *until.lock().expect("whole") = true;
    let (count, heard) = talking.await.expect("they talked to the end");
    assert!(count > 20, "{count}");
    for messages in heard {
        let places: Vec<_> = messages.iter().map(|it| it["seq"].as_u64()).collect();
        assert_eq!(places, (1..=count).map(Some).collect::<Vec<_>>());
    }
    let (code, _, _) = dev.end("TERM").await;
    assert_eq!(code, Some(0));
    let left = std::fs::read_dir(clone.0.join("target/debug")).expect("it was built there");
    let names = left.filter_map(|it| it.ok()?.file_name().into_string().ok());
    assert!(
        !names.into_iter().any(|it| it.starts_with("watch-")),
        "no program is left"
    );
}

#[tokio::test]
async fn the_page_and_the_template_are_told_of_when_they_change() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let clone = Clone::new("page");
    let mut dev = clone.watched(&[], Stdio::piped()).await;
    let said = Said::by(&mut dev);

    // Who edits right after the URLs are there has to be seen.
    let version = dev.get(".chatctl/version").await;
    clone.replace("wwwroot/index.html", "</title>", " again</title>");
    said.wait_for("the page has changed").await;
    assert_ne!(dev.get(".chatctl/version").await, version);
    let page = dev.get("").await;
    assert!(page.contains(" again</title>"), "{page}");
    assert!(
        page.contains("<script type=\"module\" src=\"/.chatctl/reload.js\">"),
        "{page}"
    );
    assert!(
        dev.get(".chatctl/reload.js")
            .await
            .contains("location.reload()")
    );

    a_browser_loads_it_again(&dev, &clone).await;

    clone.replace(
        "cloudformation/table.yaml",
        "Resources:",
        "# Other\nResources:",
    );
    said.wait_for("the template has changed: end this and start it again")
        .await;
    let (code, _, _) = dev.end("TERM").await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn on_a_terminal_what_cargo_says_is_not_written_over() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let clone = Clone::new("terminal");
    let variables = [
        ("TERM", "xterm"),
        ("CARGO_TERM_PROGRESS_WHEN", "never"),
        ("CARGO_TERM_COLOR", "never"),
    ];
    let terminal = Terminal::new();
    let dev = clone.watched(&variables, terminal.stdio()).await;
    let is_status = |line: &String| line.contains(" connected | ");
    eventually("a last line", || {
        terminal.lines().last().is_some_and(is_status)
    })
    .await;

    clone.replace("handlers/src/main.rs", "fn main() -> ", "this is no Rust ");
    let stays = "the functions could not be built; the functions stay as they are";
    eventually("the last line again", || {
        let lines = terminal.lines();
        lines.iter().any(|it| it == stays) && lines.last().is_some_and(is_status)
    })
    .await;
    let lines = terminal.lines();
    let building = lines
        .iter()
        .position(|it| it == "the functions have changed: building them");
    let after = &lines[building.expect("it is told")..];
    let said = |part: &str| after.iter().any(|it| it.contains(part));
    assert!(said("--> handlers/src/main.rs"), "{lines:#?}");
    assert!(said("error: could not compile `handlers`"), "{lines:#?}");
    let many = lines.iter().filter(|it| is_status(it)).count();
    assert_eq!(many, 1, "{lines:#?}");
    dev.end("TERM").await;
}

async fn a_browser_loads_it_again(dev: &Dev, clone: &Clone) {
    let browser = browser::tests("reload.test.mjs")
        .env("SITE", &dev.site)
        .env("WWWROOT", clone.0.join("wwwroot"))
        .output();
    let output = tokio::time::timeout(BUILD_DEADLINE, browser).await;
    let output = output.expect("it is done in time").expect("node runs");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
