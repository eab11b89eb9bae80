//! Functions are a small program in Python that speaks the Runtime API by itself.

use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::faults::Faults;
use crate::observer::Event;

/// Whatever a test waits for comes within this, on however slow a machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// The interpreter itself: what is found as `python3` may be a script that takes its time.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let found = std::process::Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .expect("python3");
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    })
}

/// One function, called `F`, and what was told of it.
struct Fixture {
    functions: Arc<Functions>,
    told: Arc<Mutex<Vec<Event>>>,
}

struct Builder {
    function: template::Function,
    options: FunctionOptions,
    faults: Faults,
}

fn function(handler: &str) -> Builder {
    Builder {
        function: template::Function {
            name: "stack-F".to_owned(),
            handler: handler.to_owned(),
            environment: BTreeMap::from([("OWN".to_owned(), "own value".to_owned())]),
            timeout: Duration::from_secs(20),
            memory_mb: 256,
            reserved_concurrency: None,
            events: template::Events::default(),
        },
        options: FunctionOptions {
            reports: true,
            ..FunctionOptions::default()
        },
        faults: Faults::default(),
    }
}

impl Builder {
    fn timeout(mut self, timeout: Duration) -> Self {
        self.function.timeout = timeout;
        self
    }

    fn reserved(mut self, concurrency: usize) -> Self {
        self.function.reserved_concurrency = Some(concurrency);
        self
    }

    fn options(mut self, change: impl Fn(&mut FunctionOptions)) -> Self {
        change(&mut self.options);
        self
    }

    fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    fn build(self) -> Fixture {
        let mut code = Code::new(python());
        code.arguments = ["-c", include_str!("tests/function.py")]
            .map(Into::into)
            .to_vec();
        self.build_with(&code)
    }

    fn build_with(self, code: &Code) -> Fixture {
        let told: Arc<Mutex<Vec<Event>>> = Arc::default();
        let telling = Arc::clone(&told);
        let observer = Observer::new(move |event| telling.lock().unwrap().push(event));
        let path = std::env::var("PATH").unwrap();
        let setting = Setting {
            code: &|_| code.clone(),
            environment: &BTreeMap::from([("PATH".to_owned(), path)]),
            options: self.options,
            dice: &Arc::new(Dice::new(self.faults, 7, &observer)),
            observer: &observer,
        };
        let functions = BTreeMap::from([("F".to_owned(), self.function)]);
        Fixture {
            functions: Functions::new(&functions, &setting),
            told,
        }
    }
}

impl Fixture {
    async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        let response = self.functions.invoke("F", event.to_string().into());
        let response = timeout(DEADLINE, response).await.expect("no hang")?;
        Ok(serde_json::from_slice(&response).expect("JSON"))
    }

    fn start(&self, event: &Value) -> JoinHandle<Result<Value, InvokeError>> {
        let functions = Arc::clone(&self.functions);
        let event = Bytes::from(event.to_string());
        tokio::spawn(async move {
            let response = functions.invoke("F", event);
            let response = timeout(DEADLINE, response).await.expect("no hang")?;
            Ok(serde_json::from_slice(&response).expect("JSON"))
        })
    }

    async fn pid(&self) -> u64 {
        let response = self.invoke(json!({"do": "pid"})).await.unwrap();
        response["pid"].as_u64().unwrap()
    }

    fn alive(&self) -> usize {
        *self.functions.alive.borrow()
    }

    async fn eventually_alive(&self, count: usize) {
        let mut alive = self.functions.alive.subscribe();
        let reached = timeout(DEADLINE, alive.wait_for(|alive| *alive == count)).await;
        assert!(reached.is_ok(), "{} processes", self.alive());
    }

    fn told(&self) -> Vec<Event> {
        self.told.lock().unwrap().clone()
    }

    fn platform_lines(&self) -> Vec<String> {
        let told = self.told();
        let lines = told.into_iter().filter_map(|event| match event {
            Event::Platform { line, .. } => Some(line),
            _ => None,
        });
        lines.collect()
    }

    fn reports(&self) -> Vec<Report> {
        let told = self.told();
        let reports = told.into_iter().filter_map(|event| match event {
            Event::Report { report, .. } => Some(report),
            _ => None,
        });
        reports.collect()
    }

    async fn stop(&self) {
        timeout(DEADLINE, self.functions.stop())
            .await
            .expect("no hang");
    }
}

/// What an invocation waits for until the test lets it go on.
struct Gate(PathBuf);

impl Gate {
    fn new() -> Self {
        Self(fresh_file("gate"))
    }

    /// An event whose invocation waits, and tells its process then.
    fn wait(&self) -> Value {
        json!({"do": "wait", "file": self.0})
    }

    fn open(&self) {
        std::fs::write(&self.0, "").unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // It was never opened if the test failed before.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether a process is there and not only waited for.
fn runs(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // What follows the name, in parentheses, is the state: Z is dead.
    status.is_ok_and(|stat| {
        !stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}

async fn eventually_gone(pid: u64) {
    let gone = async {
        while runs(pid) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(DEADLINE, gone).await.is_ok(), "{pid} still runs");
}

#[tokio::test]
async fn an_invocation_comes_with_its_id_its_deadline_and_its_function() {
    let fixture = function("echo").build();
    let first = fixture.invoke(json!({"do": "headers"})).await.unwrap();
    let second = fixture.invoke(json!({"do": "headers"})).await.unwrap();
    let id = |response: &Value| {
        let id = response["request_id"].as_str().unwrap().to_owned();
        assert!(uuid::Uuid::parse_str(&id).is_ok(), "{id}");
        id
    };
    assert_ne!(id(&first), id(&second));
    let deadline = second["deadline_in_ms"].as_f64().unwrap();
    assert!((10_000.0..=20_001.0).contains(&deadline), "{deadline}");
    let account = template::ACCOUNT_ID;
    let region = template::REGION;
    let arn = format!("arn:aws:lambda:{region}:{account}:function:stack-F");
    assert_eq!(second["arn"], json!(arn));
    fixture.stop().await;
}

#[tokio::test]
async fn a_function_sees_lambdas_variables_and_its_own_and_no_other() {
    let fixture = function("echo").build();
    let environment = fixture.invoke(json!({"do": "environment"})).await.unwrap();
    let mut environment = environment.as_object().unwrap().clone();
    // Cargo sets it for this test, and nothing of that goes further.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!environment.contains_key("CARGO_MANIFEST_DIR"));
    // A Python may well add variables of its own.
    environment.retain(|name, _| {
        ["AWS_", "OWN", "_HANDLER"]
            .iter()
            .any(|start| name.starts_with(start))
    });
    let api = environment.remove("AWS_LAMBDA_RUNTIME_API");
    let api = format!("http://{}", api.as_ref().and_then(Value::as_str).unwrap());
    assert_eq!(
        environment.remove("AWS_ENDPOINT_URL_LAMBDA"),
        Some(json!(api))
    );
    assert_eq!(
        Value::Object(environment),
        json!({
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_NAME": "stack-F",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/stack-F",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "OWN": "own value",
            "_HANDLER": "echo",
        })
    );
    fixture.stop().await;
}

#[tokio::test]
async fn a_functions_error_is_told_and_its_process_used_again() {
    let fixture = function("echo").build();
    let pid = fixture.pid().await;
    for (event, kind, message) in [
        ("error", "Chat.Broken", "no luck"),
        ("error-by-header", "Chat.Header", ""),
    ] {
        let error = fixture.invoke(json!({"do": event})).await.unwrap_err();
        let expected = InvokeError::Function {
            kind: kind.to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(error, expected);
    }
    assert_eq!(fixture.pid().await, pid);
    fixture.stop().await;
}

#[tokio::test]
async fn a_response_to_another_invocation_is_refused() {
    let fixture = function("echo").build();
    let response = fixture.invoke(json!({"do": "stale"})).await.unwrap();
    assert_eq!(response["status"], 400);
    assert_eq!(response["body"]["errorType"], "InvalidRequestID");
    fixture.stop().await;
}

#[tokio::test]
async fn a_response_beyond_6_mb_is_refused_in_lambdas_words() {
    let fixture = function("echo").build();
    let event = json!({"do": "big", "bytes": 7 * 1024 * 1024});
    let error = fixture.invoke(event).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Function.ResponseSizeTooLarge: Response payload size exceeded maximum allowed payload \
         size (6291556 bytes)."
    );
    fixture.stop().await;
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_killed_and_reported_as_lambda_does() {
    // Long enough for what takes no time, on any machine.
    let fixture = function("echo").timeout(Duration::from_secs(3)).build();
    let pid = fixture.pid().await;
    let begun = Instant::now();
    let error = fixture
        .invoke(json!({"do": "sleep", "s": 600}))
        .await
        .unwrap_err();
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert!(matches!(error, InvokeError::TimedOut { .. }), "{error}");
    let lines = fixture.platform_lines();
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    assert_eq!(words[0].len(), "2019-02-13T20:12:38.950Z".len(), "{line}");
    assert!(uuid::Uuid::parse_str(words[1]).is_ok(), "{line}");
    assert_eq!(words[2], "Task timed out after 3.00 seconds");
    assert!(!runs(pid));
    let reports = fixture.reports();
    assert_eq!(reports.last().unwrap().status, Status::Timeout);
    assert_ne!(fixture.pid().await, pid);
    fixture.stop().await;
}

#[tokio::test]
async fn a_process_killed_in_the_middle_fails_its_invocation_and_is_replaced() {
    let fixture = function("echo").build();
    let pid = fixture.pid().await;
    let error = fixture.invoke(json!({"do": "die"})).await.unwrap_err();
    let InvokeError::Exited { request_id, status } = &error else {
        panic!("{error}");
    };
    assert_eq!(status, "signal: killed");
    let words = format!("RequestId: {request_id} Error: Runtime exited with error: signal: killed");
    assert_eq!(fixture.platform_lines(), [words]);
    assert_ne!(fixture.pid().await, pid);

    let error = fixture.invoke(json!({"do": "exit", "code": 3})).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with("Error: Runtime exited with error: exit status 3"),
        "{error}"
    );
    let error = fixture.invoke(json!({"do": "exit", "code": 0})).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with("Error: Runtime exited without providing a reason"),
        "{error}"
    );
    fixture.stop().await;
}

#[tokio::test]
async fn a_process_that_died_between_invocations_is_replaced_unnoticed() {
    let fixture = function("echo").build();
    let pid = fixture.pid().await;
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(process, Signal::KILL).unwrap();
    eventually_gone(pid).await;
    assert_ne!(fixture.pid().await, pid);
    fixture.stop().await;
}

#[tokio::test]
async fn a_program_that_dies_at_its_start_is_an_error_with_its_last_lines() {
    let fixture = function("dies").build();
    let error = fixture.functions.warm_up().await.unwrap_err();
    let InitError::Ended { status, output, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(status, "exit status 3");
    let mut output = output.clone();
    output.sort();
    assert_eq!(output, ["GLIBC_2.99 not found", "on standard output"]);
    let error = fixture.invoke(json!({"do": "pid"})).await.unwrap_err();
    assert!(
        matches!(error, InvokeError::Init(InitError::Ended { .. })),
        "{error}"
    );
    assert_eq!(fixture.alive(), 0);
}

#[tokio::test]
async fn a_start_that_fails_is_known_at_once() {
    let mut code = Code::new("sh");
    code.arguments = ["-c", "echo no; exit 1"].map(Into::into).to_vec();
    // It is not the time for a start that ends it.
    let fixture = function("echo")
        .options(|options| options.init_timeout = Duration::from_hours(1))
        .build_with(&code);
    let error = timeout(DEADLINE, fixture.functions.warm_up()).await;
    let error = error.expect("no hang").unwrap_err().to_string();
    assert_eq!(
        error,
        "the program of `F` stopped while starting (exit status 1); it wrote: no"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_with_the_reason() {
    let fixture = function("echo").build_with(&Code::new("/no/such/bootstrap"));
    let error = fixture.functions.warm_up().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the program of `F` could not be started: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn an_init_error_is_told_in_the_functions_words() {
    let fixture = function("init-error").build();
    let error = fixture.functions.warm_up().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the program of `F` stopped while starting (Config.Missing: `TABLE` is not set)"
    );
    assert_eq!(fixture.alive(), 0);
}

#[tokio::test]
async fn a_program_that_never_asks_is_given_up() {
    // A shell starts at once, unlike Python: it has printed its line by then, on any machine.
    let mut code = Code::new("sh");
    let script = "echo waiting for Godot; exec sleep 600";
    code.arguments = ["-c", script].map(Into::into).to_vec();
    let fixture = function("echo")
        .options(|options| options.init_timeout = Duration::from_secs(3))
        .build_with(&code);
    let error = timeout(DEADLINE, fixture.functions.warm_up()).await;
    let error = error.expect("no hang").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the program of `F` did not ask for its first invocation within 3 s; it wrote: waiting for Godot"
    );
    assert_eq!(fixture.alive(), 0);
}

#[tokio::test]
async fn there_are_as_many_processes_as_invocations_up_to_the_cap() {
    let fixture = function("echo")
        .options(|options| options.processes_max = 3)
        .build();
    let event = json!({"do": "sleep", "s": 0.5});
    let started: Vec<_> = (0..8).map(|_| fixture.start(&event)).collect();
    let mut pids = Vec::new();
    for invocation in started {
        let response = invocation.await.unwrap().unwrap();
        pids.push(response["pid"].as_u64().unwrap());
        assert!(fixture.alive() <= 3, "{}", fixture.alive());
    }
    assert_eq!(
        pids.len(),
        8,
        "those beyond the cap waited, and none was refused"
    );
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 3);
    fixture.stop().await;
}

#[tokio::test]
async fn the_process_used_last_is_used_next() {
    let fixture = function("echo").build();
    let gate = Gate::new();
    let long = fixture.start(&gate.wait());
    fixture.eventually_alive(1).await;
    let short = fixture.pid().await;
    gate.open();
    let long = long.await.unwrap().unwrap()["pid"].as_u64().unwrap();
    assert_ne!(long, short);
    for _ in 0..5 {
        assert_eq!(fixture.pid().await, long);
    }
    assert_eq!(fixture.alive(), 2);
    fixture.stop().await;
}

#[tokio::test]
async fn idle_processes_are_ended_after_a_while() {
    let fixture = function("echo")
        .options(|options| options.idle_timeout = Duration::from_millis(300))
        .build();
    let pid = fixture.pid().await;
    fixture.eventually_alive(0).await;
    eventually_gone(pid).await;
    assert_ne!(fixture.pid().await, pid);
    assert_eq!(
        fixture.platform_lines(),
        [""; 0],
        "it is nothing to talk about"
    );
    fixture.stop().await;
}

#[tokio::test]
async fn beyond_its_reserved_concurrency_a_function_is_refused() {
    let fixture = function("echo").reserved(1).build();
    let gate = Gate::new();
    let running = fixture.start(&gate.wait());
    fixture.eventually_alive(1).await;
    let error = fixture.invoke(json!({"do": "pid"})).await.unwrap_err();
    assert_eq!(error, InvokeError::Throttled);
    assert_eq!(
        error.to_string(),
        "TooManyRequestsException: Rate Exceeded."
    );
    gate.open();
    assert!(running.await.unwrap().is_ok());
    assert!(fixture.invoke(json!({"do": "pid"})).await.is_ok());
    fixture.stop().await;
}

#[tokio::test]
async fn a_function_that_reserves_nothing_is_always_refused() {
    let fixture = function("echo").reserved(0).build();
    let error = fixture.invoke(json!({"do": "pid"})).await.unwrap_err();
    assert_eq!(error, InvokeError::Throttled);
    fixture.stop().await;
}

#[tokio::test]
async fn beyond_the_accounts_concurrency_functions_are_refused_where_that_is_asked_for() {
    let fixture = function("echo")
        .options(|options| options.account_concurrency = Some(2))
        .build();
    let gate = Gate::new();
    let running = [fixture.start(&gate.wait()), fixture.start(&gate.wait())];
    fixture.eventually_alive(2).await;
    let error = fixture.invoke(json!({"do": "pid"})).await.unwrap_err();
    assert_eq!(error, InvokeError::Throttled);
    gate.open();
    for invocation in running {
        assert!(invocation.await.unwrap().is_ok());
    }
    fixture.stop().await;
}

#[test]
fn what_functions_reserve_is_taken_from_the_others() {
    let mut functions = BTreeMap::from([
        ("A".to_owned(), function("a").reserved(3).function),
        ("B".to_owned(), function("b").function),
    ]);
    let left = |functions: &BTreeMap<_, _>, account| {
        unreserved(functions, account).map(|left| left.available_permits())
    };
    assert_eq!(left(&functions, Some(10)), Some(7));
    assert_eq!(left(&functions, None), None);
    functions.insert("C".to_owned(), function("c").reserved(8).function);
    assert_eq!(left(&functions, Some(10)), Some(0));
}

/// A file that does not exist yet.
fn fresh_file(name: &str) -> PathBuf {
    let name = format!("chatctl-{name}-{}", uuid::Uuid::new_v4());
    std::env::temp_dir().join(name)
}

async fn eventually_lines(file: &Path, count: usize) -> Vec<String> {
    let read = || std::fs::read_to_string(file).unwrap_or_default();
    let enough = async {
        while read().lines().count() < count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(DEADLINE, enough).await.is_ok(), "{:?}", read());
    read().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_asynchronous_invocation_is_accepted_at_once_and_tried_three_times() {
    let quick = |options: &mut FunctionOptions| {
        options.event_retries = [Duration::from_millis(10), Duration::from_millis(20)];
    };
    for (needed, discarded) in [(1, false), (3, false), (9, true)] {
        let fixture = function("echo").options(quick).build();
        let file = fresh_file("attempts");
        let event = json!({"do": "append", "file": file, "attempts": needed});
        let id = fixture
            .functions
            .invoke_event("F", event.to_string().into());
        let id = id.unwrap();
        let attempts = needed.min(3);
        assert_eq!(
            eventually_lines(&file, attempts).await,
            vec![id.clone(); attempts]
        );
        let line = format!("RequestId: {id} Error: event discarded");
        let told = async {
            while fixture.platform_lines().contains(&line) != discarded {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(DEADLINE, told).await.is_ok(), "needed {needed}");
        // Time for one attempt too many.
        sleep(Duration::from_millis(100)).await;
        assert_eq!(eventually_lines(&file, attempts).await.len(), attempts);
        fixture.stop().await;
        std::fs::remove_file(file).unwrap();
    }
}

#[tokio::test]
async fn an_asynchronous_invocation_that_is_refused_comes_later() {
    let fixture = function("echo").reserved(1).build();
    let running = fixture.start(&json!({"do": "sleep", "s": 0.5}));
    fixture.eventually_alive(1).await;
    let file = fresh_file("throttled");
    let event = json!({"do": "append", "file": file, "attempts": 1});
    drop(
        fixture
            .functions
            .invoke_event("F", event.to_string().into()),
    );
    eventually_lines(&file, 1).await;
    assert!(running.await.unwrap().is_ok());
    fixture.stop().await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn an_unknown_function_is_not_found() {
    let fixture = function("echo").build();
    let error = fixture
        .functions
        .invoke("G", Bytes::new())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "ResourceNotFoundException: Function not found: `G`"
    );
    assert!(fixture.functions.invoke_event("G", Bytes::new()).is_err());
}

#[tokio::test]
async fn each_invocation_is_reported_and_a_cold_start_with_its_duration() {
    let fixture = function("slow-start").build();
    drop(fixture.invoke(json!({"do": "sleep", "s": 0.1})).await);
    drop(fixture.invoke(json!({"do": "error"})).await);
    drop(fixture.invoke(json!({"do": "die"})).await);
    let reports = fixture.reports();
    let [first, second, third] = reports.as_slice() else {
        panic!("{reports:?}");
    };
    assert!(first.duration >= Duration::from_millis(100));
    assert!(first.init_duration.unwrap() >= Duration::from_millis(300));
    assert!(first.billed_duration() >= Duration::from_millis(400));
    assert_eq!(first.memory_size_mb, 256);
    // Python takes about 10 MB.
    assert!(
        (2..200).contains(&first.max_memory_used_mb.unwrap()),
        "{first}"
    );
    assert_eq!(first.status, Status::Success);
    assert_eq!(second.init_duration, None);
    assert_eq!(second.status, Status::Error("Chat.Broken".to_owned()));
    assert_eq!(third.status, Status::Error("Runtime.ExitError".to_owned()));
    fixture.stop().await;
}

#[tokio::test]
async fn nothing_is_reported_unless_asked_for() {
    let fixture = function("echo")
        .options(|options| options.reports = false)
        .build();
    fixture.pid().await;
    assert_eq!(fixture.reports(), []);
    fixture.stop().await;
}

#[tokio::test]
async fn stopping_leaves_no_process_and_cuts_off_what_is_under_way() {
    let fixture = function("has-child").build();
    let pid = fixture.pid().await;
    let child = fixture.invoke(json!({"do": "child"})).await.unwrap();
    let child = child["pid"].as_u64().unwrap();
    let running = fixture.start(&json!({"do": "sleep", "s": 60}));
    let also_running = fixture.start(&json!({"do": "sleep", "s": 60}));
    fixture.eventually_alive(2).await;
    fixture.stop().await;
    assert_eq!(fixture.alive(), 0);
    for invocation in [running, also_running] {
        assert_eq!(invocation.await.unwrap(), Err(InvokeError::Stopping));
    }
    for pid in [pid, child] {
        eventually_gone(pid).await;
    }
    let error = fixture.invoke(json!({"do": "pid"})).await;
    assert_eq!(error, Err(InvokeError::Stopping));
    assert_eq!(fixture.alive(), 0);
}

#[tokio::test]
async fn dropping_the_functions_leaves_no_process() {
    let fixture = function("has-child").build();
    let pid = fixture.pid().await;
    let child = fixture.invoke(json!({"do": "child"})).await.unwrap();
    drop(fixture);
    for pid in [pid, child["pid"].as_u64().unwrap()] {
        eventually_gone(pid).await;
    }
}

#[tokio::test]
async fn crashes_on_purpose_strike_at_their_rate_and_repeat_with_the_seed() {
    let crashed = || async {
        let faults = Faults {
            crash: 0.25,
            ..Faults::default()
        };
        let fixture = function("echo").faults(faults).build();
        let mut crashed = Vec::new();
        for _ in 0..40 {
            match fixture.invoke(json!({"do": "pid"})).await {
                Ok(_) => crashed.push(false),
                Err(InvokeError::Exited { status, .. }) if status == "signal: killed" => {
                    crashed.push(true);
                }
                Err(error) => panic!("{error}"),
            }
        }
        let struck = crashed.iter().filter(|crashed| **crashed).count();
        let told = fixture.told();
        let told = told.iter().filter(|event| matches!(event, Event::Fault(_)));
        assert_eq!(told.count(), struck);
        fixture.stop().await;
        crashed
    };
    let first = crashed().await;
    let struck = first.iter().filter(|crashed| **crashed).count();
    assert!((3..=20).contains(&struck), "{struck} of 40");
    assert_eq!(first, crashed().await);
}

#[tokio::test]
async fn a_function_invokes_another_by_lambdas_api_and_waits_for_nothing() {
    let fixture = function("echo").build();
    let file = fresh_file("invoked");
    let append = json!({"do": "append", "file": file, "attempts": 1}).to_string();
    let long = json!("x".repeat(1024 * 1024)).to_string();
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:stack-F";
    for (name, kind, body, status, error) in [
        ("stack-F", "Event", &append, 202, None),
        (arn, "Event", &append, 202, None),
        (
            "stack-G",
            "Event",
            &append,
            404,
            Some("ResourceNotFoundException"),
        ),
        (
            "stack-F",
            "RequestResponse",
            &append,
            400,
            Some("InvalidParameterValueException"),
        ),
        (
            "stack-F",
            "Event",
            &"no JSON".to_owned(),
            400,
            Some("InvalidRequestContentException"),
        ),
        (
            "stack-F",
            "Event",
            &long,
            413,
            Some("RequestTooLargeException"),
        ),
    ] {
        let invoke = json!({"do": "invoke", "function": name, "type": kind, "body": body});
        let answer = fixture.invoke(invoke).await.unwrap();
        assert_eq!(
            answer,
            json!({"status": status, "error": error}),
            "{name} {kind}"
        );
    }
    assert_eq!(eventually_lines(&file, 2).await.len(), 2);
    std::fs::remove_file(&file).unwrap();
    fixture.stop().await;
}

#[tokio::test]
async fn an_event_that_fails_is_tried_again_as_often_as_the_template_says() {
    for retries in 0..=1 {
        let mut built = function("echo").options(|options| {
            options.event_retries = [Duration::from_millis(10), Duration::from_millis(20)];
        });
        built.function.events.retries = retries;
        let fixture = built.build();
        let file = fresh_file("retried");
        let event = json!({"do": "append", "file": file, "attempts": 9});
        let id = fixture
            .functions
            .invoke_event("F", event.to_string().into());
        let line = format!("RequestId: {} Error: event discarded", id.unwrap());
        let told = async {
            while !fixture.platform_lines().contains(&line) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(DEADLINE, told).await.is_ok(), "{retries} retries");
        assert_eq!(
            eventually_lines(&file, retries + 1).await.len(),
            retries + 1
        );
        std::fs::remove_file(&file).unwrap();
        fixture.stop().await;
    }
}

#[tokio::test]
async fn cold_starts_on_purpose_take_longer_and_nothing_is_kept_ready() {
    const COLD_START: Duration = Duration::from_secs(3);
    let faults = Faults {
        cold_start: COLD_START,
        ..Faults::default()
    };
    let fixture = function("echo").faults(faults).build();
    fixture.functions.warm_up().await.unwrap();
    assert_eq!(fixture.alive(), 0);
    let begun = Instant::now();
    let pid = fixture.pid().await;
    assert!(begun.elapsed() >= COLD_START);
    assert_eq!(fixture.pid().await, pid);
    let reports = fixture.reports();
    assert!(reports[0].init_duration.unwrap() >= COLD_START);
    assert!(
        reports[0].duration < COLD_START,
        "it is not the invocation that is slow"
    );
    assert_eq!(reports[1].init_duration, None);
    fixture.stop().await;
}

#[tokio::test]
async fn what_is_ready_from_the_start_is_used() {
    let fixture = function("echo").build();
    fixture.functions.warm_up().await.unwrap();
    assert_eq!(fixture.alive(), 1);
    fixture.pid().await;
    assert_eq!(fixture.alive(), 1);
    fixture.stop().await;
}

/// The same function, but for what it answers to `nothing`, or whatever else is replaced.
fn other_code(from: &str, to: &str) -> Code {
    let script = include_str!("tests/function.py");
    assert!(script.contains(from));
    let mut code = Code::new(python());
    code.arguments = vec!["-c".into(), script.replace(from, to).into()];
    code
}

#[tokio::test]
async fn what_is_under_way_ends_with_the_code_it_began_with_and_what_comes_next_runs_the_new() {
    let fixture = function("echo").build();
    let old = fixture.pid().await;
    let gate = Gate::new();
    let under_way = fixture.start(&gate.wait());
    let waiting = async {
        let waits = |it: &Event| matches!(it, Event::Log { line, .. } if line == "waiting");
        while !fixture.told().iter().any(waits) {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(DEADLINE, waiting).await.expect("it has begun");
    let code = other_code(
        "result = {}\n    elif what == \"pid\"",
        "result = {\"new\": 1}\n    elif what == \"pid\"",
    );
    fixture.functions.swap(&code).await.unwrap();
    assert!(!under_way.is_finished(), "the old one is still at it");
    let nothing = fixture.invoke(json!({"do": "nothing"})).await.unwrap();
    assert_eq!(nothing, json!({"new": 1}));
    gate.open();
    assert_eq!(under_way.await.unwrap().unwrap()["pid"], old);
    // It is not used again, however idle it is.
    eventually_gone(old).await;
    let nothing = fixture.invoke(json!({"do": "nothing"})).await.unwrap();
    assert_eq!(nothing, json!({"new": 1}));
    fixture.eventually_alive(1).await;
    fixture.stop().await;
}

#[tokio::test]
async fn code_that_does_not_start_leaves_the_old_one_at_work() {
    let fixture = function("echo").build();
    let old = fixture.pid().await;
    let dies = other_code("if handler == \"dies\"", "if handler == \"echo\"");
    let error = fixture.functions.swap(&dies).await.unwrap_err();
    assert!(error.to_string().contains("exit status 3"), "{error}");
    assert_eq!(fixture.pid().await, old);
    fixture.eventually_alive(1).await;
    fixture.stop().await;
}
