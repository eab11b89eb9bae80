//! A machine of a program's own: its requests can be told from others', held, lost and refused.
//! `../../ministack/README.md` says what AWS is made to do.

use std::net::Ipv4Addr;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};

use super::proxy::Proxy;
use super::{Console, Ministack, whole_lines};
use crate::{chatctl, within_deadline};

/// When a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// AWS knows nothing of it yet.
    Before,
    /// AWS has done it, and its answer is on the way.
    After,
}

/// Whether a request of this action (`s3:PutObject`) leaves AWS another one than before.
#[must_use]
pub fn changes_something(action: &str) -> bool {
    let (_, operation) = action.split_once(':').unwrap_or_default();
    let reads = ["Describe", "Get", "List", "Head"];
    !operation.is_empty() && !reads.iter().any(|it| operation.starts_with(it))
}

/// Whether a function asked, with the credentials of its role. Functions go on for a moment after the one who
/// spoke to them is gone.
#[must_use]
pub fn is_by_a_function(request: &Value) -> bool {
    let caller = request["caller"].as_str();
    caller.is_some_and(|it| it.starts_with("ASIA"))
}

/// A machine with an AWS account: of its own, or that of another.
pub struct Machine<'a> {
    ministack: &'a Ministack,
    proxy: Proxy,
    address: Ipv4Addr,
    account: String,
}

impl Ministack {
    /// A machine with an account that nobody has used yet.
    pub async fn machine(&self) -> Machine<'_> {
        let address = new_address();
        let account = format!("{:012}", u32::from(address));
        Machine::new(self, address, account).await
    }
}

impl<'a> Machine<'a> {
    async fn new(ministack: &'a Ministack, address: Ipv4Addr, account: String) -> Self {
        let machine = Self {
            ministack,
            proxy: Proxy::start(ministack.ports, address).await,
            address,
            account,
        };
        let account = json!({"account": machine.account});
        machine.control("account", account).await;
        machine
    }

    /// Another machine with the same account.
    pub async fn another(&self) -> Self {
        Self::new(self.ministack, new_address(), self.account.clone()).await
    }

    /// The variables that make a program take MiniStack for AWS, and this for its machine.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        // MiniStack takes a key id of twelve digits for that of this account.
        self.ministack
            .environment_through(&self.proxy, &self.account)
    }

    /// AWS in boto3's words, as seen by the account. Its requests are not counted as of here.
    #[must_use]
    pub fn console(&self) -> Console {
        let environment = self
            .ministack
            .environment_through(&self.ministack.proxy, &self.account);
        Console::start(self.ministack, environment)
    }

    /// Runs `chatctl` here, to its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = chatctl::command(arguments)
            .envs(self.environment())
            .output();
        let name = format!(
            "end of `chatctl {}`\n{}",
            arguments[0],
            self.ministack.log()
        );
        within_deadline(&name, output).await.expect("chatctl runs")
    }

    /// Runs `chatctl` here, kills it where a request of its is held, and gives what it had said by then.
    ///
    /// # Errors
    /// What it said when it came to its end, for nothing that it asked for was to be held.
    ///
    /// # Panics
    /// When it does neither.
    pub async fn killed(&self, arguments: &[&str], name: &str) -> Result<Output, Output> {
        let process = chatctl::command(arguments)
            .envs(self.environment())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chatctl starts");
        let pid = process.id().expect("not waited for yet");
        let ended = process.wait_with_output();
        tokio::pin!(ended);
        tokio::select! {
            _ = within_deadline(name, self.held()) => {}
            output = &mut ended => {
                self.hold_nothing().await;
                return Err(output.expect("waited for"));
            }
        }
        chatctl::send_signal("KILL", pid);
        let output = within_deadline(name, ended).await.expect("waited for");
        assert_eq!(output.status.code(), None, "{name}");
        self.lose().await;
        self.hold_nothing().await;
        Ok(output)
    }

    /// The requests from here so far, as [`Ministack::requests`] has them.
    ///
    /// # Panics
    /// When the record cannot be read.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let own = format!("\"machine\": \"{}\"", self.address);
        let record = whole_lines(&self.ministack.folder);
        // There are many more of others.
        let lines = record.lines().filter(|line| line.contains(&own));
        let requests = lines.map(|line| serde_json::from_str(line).expect("a request a line"));
        requests.collect()
    }

    /// From now on requests from here are counted, and the nth of an action (`s3:PutObject`) is held.
    pub async fn hold(&self, action: &str, nth: u64, moment: Moment) {
        let moment = match moment {
            Moment::Before => "before",
            Moment::After => "after",
        };
        let order = json!({"action": action, "nth": nth, "moment": moment});
        self.control("hold", order).await;
    }

    /// Counts anew, and holds nothing any more that comes from here.
    pub async fn hold_nothing(&self) {
        let order = json!({"action": null, "nth": null, "moment": null});
        self.control("hold", order).await;
    }

    /// Waits until a request is held, and gives it as the record has it.
    ///
    /// # Panics
    /// When AWS cannot be asked.
    pub async fn held(&self) -> Value {
        let order = json!({"machine": self.address.to_string()});
        let held = self.ministack.control("held", &order).await;
        held.expect("MiniStack answers")
    }

    /// Lets the held request go on.
    pub async fn let_go(&self) {
        self.control("release", json!({"answer": true})).await;
    }

    /// The held request comes to nothing; nobody waits for it any more.
    pub async fn lose(&self) {
        self.control("release", json!({"answer": false})).await;
    }

    /// Has the next requests from here of an action (`s3:PutObject`) refused, with one of the refusals
    /// of `answers.py`.
    pub async fn refuse(&self, action: &str, with: &str, times: usize) {
        let order = json!({"action": action, "with": with, "times": times});
        self.control("answer", order).await;
    }

    /// Tells AWS what to do about a stack: the verbs of `behaviour.py`.
    pub async fn plan(&self, verb: &str, order: Value) {
        self.control(verb, order).await;
    }

    async fn control(&self, verb: &str, mut order: Value) {
        order["machine"] = json!(self.address.to_string());
        let done = within_deadline(verb, self.ministack.control(verb, &order)).await;
        done.expect("MiniStack answers");
    }
}

impl std::fmt::Debug for Machine<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Machine")
            .field("address", &self.address)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// On Linux all of 127.0.0.0/8 is this machine.
fn new_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Ipv4Addr::new(127, 0, 1, NEXT.fetch_add(1, Ordering::Relaxed))
}
