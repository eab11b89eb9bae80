//! From the start of a function's process to its first request for work, what it holds then, and what
//! is uploaded. All are run in turn, as often as each other, and asked by nobody but this program: what
//! it measures is the process, and neither AWS's start of a machine nor the way there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::error::BenchError;
use crate::peers;
use crate::process::{output_of, peak_memory_of};
use crate::result::{Cell, Findings, Goal, Row, Table};
use crate::section::Context;
use crate::statistics::{Summary, readable};

/// As much as Lambda gives a start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// What a runtime client asks for first.
const NEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next ";

/// Where Linux systems keep the platform's authorities.
const PLATFORM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// At most so many times the floor.
const FLOOR_GOAL: f64 = 1.5;
/// At most one of so many parts of Node's.
const NODE_GOAL: f64 = 50.0;

/// By callgrind, of a development build.
const WHY_NOT: &str = "of all instructions of a start, a third is the SDK's client of DynamoDB reading AWS's \
     list of partitions, which it does whether it needs it or not, a quarter reading the five certificates \
     and making the connector of TLS, a fifth the loading of a program many times as large as the floor.";

/// What is started.
struct Program {
    name: String,
    command: Vec<PathBuf>,
    variables: Vec<(&'static str, &'static str)>,
    zip: u64,
    runs: Vec<Start>,
}

/// One start.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// From before the process to its first request.
    ms: f64,
    /// The most that it held until then, MB.
    memory_mb: f64,
}

/// # Errors
/// What does not build, install or start.
pub(crate) fn measure(context: &Context, blank: Findings) -> Result<Findings, BenchError> {
    let mut programs = programs(context)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| BenchError::Start {
            program: "the Runtime API".to_owned(),
            source,
        })?;
    // The first start of each reads it from the disk, and does not count.
    for round in 0..=context.runs(40, 5) {
        for program in &mut programs {
            let start = runtime.block_on(start(program))?;
            if round > 0 {
                program.runs.push(start);
            }
        }
    }
    findings(&programs, blank)
}

/// Ours first, then what it is compared with.
fn programs(context: &Context) -> Result<Vec<Program>, BenchError> {
    let built = |manifest: PathBuf, folder: PathBuf, program: &str| {
        let mut cargo =
            std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--locked", "--profile", "lambda", "--bin", program])
            .arg("--manifest-path")
            .arg(manifest)
            .arg("--target-dir")
            .arg(&folder);
        output_of(&mut cargo).map(|_| folder.join("lambda").join(program))
    };
    let ours = built(
        context.checkout.join("handlers/Cargo.toml"),
        context.target.clone(),
        "bootstrap",
    )?;
    let floor = built(
        context.checkout.join("bench/peers/floor/Cargo.toml"),
        context.folder().join("floor"),
        "floor",
    )?;
    let node = peers::node(context, "node-bundle")?;
    output_of(
        std::process::Command::new("npm")
            .args(["run", "--silent", "build"])
            .current_dir(&node),
    )?;
    let bundle = node.join("bundle.cjs");
    let version = output_of(std::process::Command::new("node").arg("--version"))?;
    let version = String::from_utf8_lossy(&version);
    let bundled = format!("Node {}, the same clients in a bundle", version.trim());
    let program = |name: &str, command: Vec<PathBuf>, variables| {
        let file = command.last().cloned().unwrap_or_default();
        Ok::<_, BenchError>(Program {
            name: name.to_owned(),
            zip: zipped(context, &file)?,
            command,
            variables,
            runs: Vec::new(),
        })
    };
    let mut programs = vec![
        program("chatctl", vec![ours.clone()], vec![])?,
        program("the floor: Rust without any SDK", vec![floor], vec![])?,
        program(&bundled, vec!["node".into(), bundle], vec![])?,
    ];
    if Path::new(PLATFORM_AUTHORITIES).exists() {
        programs.push(program(
            "chatctl with the platform's certificates",
            vec![ours],
            vec![("SSL_CERT_FILE", PLATFORM_AUTHORITIES)],
        )?);
    }
    Ok(programs)
}

/// The size of the file in a zip of its own, bytes.
fn zipped(context: &Context, file: &Path) -> Result<u64, BenchError> {
    let zip = context.folder().join("cold-start.zip");
    output_of(
        std::process::Command::new("python3")
            .args(["-m", "zipfile", "-c"])
            .arg(&zip)
            .arg(file),
    )?;
    let size = fs::metadata(&zip).map(|it| it.len());
    size.map_err(|source| BenchError::File { path: zip, source })
}

/// Starts a program once, as Lambda would, and ends it when it asks for work.
async fn start(program: &Program) -> Result<Start, BenchError> {
    let error = |source| BenchError::Start {
        program: program.name.clone(),
        source,
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(error)?;
    let address = listener.local_addr().map_err(error)?.to_string();
    let mut command = command(program, &address);
    let since = Instant::now();
    let mut child = command.spawn().map_err(error)?;
    let asked = tokio::select! {
        asked = tokio::time::timeout(START_LIMIT, next(&listener)) => asked,
        status = child.wait() => return Err(ended(program, child, status.map_err(error)?).await),
    };
    let ms = since.elapsed().as_secs_f64() * 1000.0;
    let memory = child.id().and_then(peak_memory_of);
    child.kill().await.map_err(error)?;
    let asked = asked
        .map_err(|_| BenchError::Measurement(format!("{} does not ask for work", program.name)))?;
    let (is_next, _stream) = asked.map_err(error)?;
    if !is_next {
        let name = &program.name;
        return Err(BenchError::Measurement(format!(
            "{name} asks for something else first"
        )));
    }
    let memory = memory.ok_or_else(|| {
        BenchError::Measurement(format!("the memory of {} cannot be read", program.name))
    })?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a process holds less than 2^52 bytes"
    )]
    let memory_mb = memory as f64 / 1e6;
    Ok(Start { ms, memory_mb })
}

fn command(program: &Program, address: &str) -> Command {
    let mut command = Command::new(&program.command[0]);
    command
        .args(&program.command[1..])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("AWS_SESSION_TOKEN", "bench"),
            ("_HANDLER", "action"),
            ("TABLE_NAME", "chat"),
            ("HISTORY_DAYS", "7"),
            ("SHARE_MEMBERS", "1000"),
            (
                "MANAGEMENT_ENDPOINT",
                "https://abcdef1234.execute-api.us-east-1.amazonaws.com/dev",
            ),
        ])
        .envs(program.variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Waits for the first request, and tells whether it is the one for work. It has to be kept meanwhile:
/// a program whose request is refused ends, and takes with it what it held.
async fn next(listener: &TcpListener) -> std::io::Result<(bool, TcpStream)> {
    let (mut stream, _) = listener.accept().await?;
    let mut request = [0; NEXT.len()];
    stream.read_exact(&mut request).await?;
    Ok((request == NEXT, stream))
}

async fn ended(
    program: &Program,
    mut child: Child,
    status: std::process::ExitStatus,
) -> BenchError {
    let mut said = Vec::new();
    if let Some(stderr) = &mut child.stderr {
        // What cannot be read is missing from the message and from nothing else.
        drop(stderr.read_to_end(&mut said).await);
    }
    BenchError::Failed {
        program: program.name.clone(),
        how: format!("ended before it asked for work ({status})"),
        said: crate::process::tail(&said),
    }
}

fn findings(programs: &[Program], blank: Findings) -> Result<Findings, BenchError> {
    let summary = |program: &Program, pick: fn(&Start) -> f64| {
        let runs: Vec<f64> = program.runs.iter().map(pick).collect();
        Summary::of(&runs)
            .ok_or_else(|| BenchError::Measurement(format!("{} never ran", program.name)))
    };
    let time = |program| summary(program, |it| it.ms);
    let [ours, floor, node] = [0, 1, 2].map(|index| time(&programs[index]));
    let (ours, floor, node) = (ours?.median, floor?.median, node?.median);
    let mut rows = Vec::new();
    for program in programs {
        let figure = |summary, unit: &str| Cell::Figure {
            summary,
            unit: unit.to_owned(),
        };
        let taken = time(program)?;
        #[expect(clippy::cast_precision_loss, reason = "a zip has less than 2^52 bytes")]
        let zip_mb = program.zip as f64 / 1e6;
        rows.push(Row {
            name: program.name.clone(),
            cells: vec![
                Cell::Ratio(taken.median / floor),
                figure(taken, "ms"),
                figure(summary(program, |it| it.memory_mb)?, "MB"),
                Cell::Number {
                    value: zip_mb,
                    unit: "MB".to_owned(),
                },
            ],
        });
    }
    let columns = ["", "to the floor", "to the first request", "memory", "zip"];
    Ok(Findings {
        about: about(programs[0].runs.len()),
        goals: vec![
            goal("A start, to the floor", FLOOR_GOAL, ours / floor, WHY_NOT),
            goal("A start, to Node", 1.0 / NODE_GOAL, ours / node, WHY_NOT),
        ],
        tables: vec![Table {
            title: "From the start of the process to its first `/invocation/next`".to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows,
        }],
        ..blank
    })
}

fn about(runs: usize) -> Vec<String> {
    vec![format!(
        "The time from starting the process to its first request for work, the most memory that it \
         held until then, and the size of its package. {runs} starts of each, in turn, after one that \
         does not count. The floor is `bench/peers/floor`: the same runtime client and the same build, \
         with nothing to call. The Node bundle is `bench/peers/node-bundle`: the same two clients, by \
         esbuild, with a runtime client that is leaner than AWS's. On AWS each of them has the start of \
         a machine before it, and less than a whole processor after it."
    )]
}

fn goal(what: &str, most: f64, measured: f64, why_not: &str) -> Goal {
    Goal {
        what: what.to_owned(),
        goal: format!("at most {} ×", readable(most)),
        measured: format!("{} ×", readable(measured)),
        is_met: measured <= most,
        why_not: (measured > most).then(|| why_not.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(script: &str) -> Program {
        Program {
            name: "a test".to_owned(),
            command: ["python3", "-c", script].map(PathBuf::from).to_vec(),
            variables: vec![],
            zip: 1,
            runs: vec![],
        }
    }

    async fn started(script: &str) -> Result<Start, BenchError> {
        start(&program(script)).await
    }

    const ASK: &str = "import os, socket, time
host, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')
stream = socket.create_connection((host, int(port)))
held = bytearray(BYTES)
time.sleep(SECONDS)
stream.sendall(b'GET /2018-06-01/runtime/PATH HTTP/1.1\\r\\n\\r\\n')
time.sleep(60)";

    fn asking(path: &str, seconds: &str, bytes: &str) -> String {
        let script = ASK.replace("PATH", path).replace("SECONDS", seconds);
        script.replace("BYTES", bytes)
    }

    #[tokio::test]
    async fn a_start_lasts_until_the_request_for_work_and_holds_what_it_held_until_then() {
        let soon = started(&asking("invocation/next", "0", "1")).await;
        let late = started(&asking("invocation/next", "0.5", "64 << 20")).await;
        let (soon, late) = (soon.expect("it asks"), late.expect("it asks"));
        assert!(late.ms > 500.0, "{late:?}");
        assert!(late.memory_mb > soon.memory_mb + 60.0, "{soon:?} {late:?}");
    }

    #[tokio::test]
    async fn what_ends_or_asks_for_something_else_is_no_start() {
        let error = started("import sys; sys.exit('why')").await;
        let error = error.expect_err("it ended").to_string();
        assert!(error.contains("why"), "{error}");
        let error = started(&asking("init/error/not-next", "0", "1")).await;
        let error = error.expect_err("no request for work").to_string();
        assert!(error.contains("something else"), "{error}");
    }

    #[test]
    fn the_floor_is_built_as_the_functions_are() {
        let profile = |manifest: &str| {
            let (_, rest) = manifest.split_once("[profile.lambda]\n").expect("there");
            rest.split("\n\n")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let ours = profile(include_str!("../../../Cargo.toml"));
        assert_eq!(profile(include_str!("../../peers/floor/Cargo.toml")), ours);
        assert!(ours.contains("lto"), "{ours}");
    }
}
