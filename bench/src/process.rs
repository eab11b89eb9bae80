//! Processes, watched: how long they take, and how much memory they and their children hold.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::BenchError;

/// How long anything that is watched may take.
const DEADLINE: Duration = Duration::from_mins(2);
/// How long anything else may take.
const BUILD_DEADLINE: Duration = Duration::from_mins(20);
/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(10);
/// Fewer looks tell what a process began with, and not what it came to.
const LOOKS_MIN: u32 = 4;

/// One run of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// From before its start to after its end.
    pub(crate) wall: Duration,
    /// The most that it and all its descendants held together, as seen every 10 ms, bytes; nothing of one that
    /// was over before it had been seen often enough to tell.
    pub(crate) peak_memory: Option<u64>,
}

/// A command without the variables of whoever measures that would make it another one, and without those
/// that tell which package this program is of: with them cargo would build again what is built.
pub(crate) fn program(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        let foreign = ["CHATCTL_", "AWS_", "CARGO_PKG_", "CARGO_MANIFEST_"];
        if foreign.iter().any(|it| name.starts_with(it)) {
            command.env_remove(&variable);
        }
    }
    command
}

/// Runs a command to its end and gives what it wrote to standard output.
///
/// # Errors
/// If it cannot be run, fails, or does not end; with the end of what it said.
pub(crate) fn output_of(command: &mut Command) -> Result<Vec<u8>, BenchError> {
    // Programs may have to be built first, and peers fetched.
    to_its_end(command, BUILD_DEADLINE, |_| ()).map(|(output, _)| output)
}

/// Runs a command to its end and watches it meanwhile.
///
/// # Errors
/// As [`output_of`].
pub(crate) fn watch(command: &mut Command) -> Result<Run, BenchError> {
    let (mut peak_memory, mut looks) = (0, 0);
    let look = |root| {
        let memory = memory_of_tree(root);
        peak_memory = memory.max(peak_memory);
        looks += u32::from(memory > 0);
    };
    let (_, wall) = to_its_end(command, DEADLINE, look)?;
    Ok(Run {
        wall,
        peak_memory: (looks >= LOOKS_MIN).then_some(peak_memory),
    })
}

/// Looks at the command again and again until it ends, or has to be ended; gives what it wrote to standard
/// output, and how long it took.
fn to_its_end(
    command: &mut Command,
    deadline: Duration,
    mut look: impl FnMut(u32) + Send,
) -> Result<(Vec<u8>, Duration), BenchError> {
    let program = name_of(command);
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // So that its end, if it does not come, can be brought about with all that it started.
        .process_group(0);
    let since = Instant::now();
    let child = command.spawn().map_err(|source| BenchError::Start {
        program: program.clone(),
        source,
    })?;
    let root = child.id();
    let (is_over, is_late) = (AtomicBool::new(false), AtomicBool::new(false));
    let (output, wall) = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                look(root);
                if since.elapsed() > deadline {
                    is_late.store(true, Ordering::Relaxed);
                    kill_group(root);
                }
                thread::sleep(EVERY);
            }
        });
        let output = child.wait_with_output();
        let wall = since.elapsed();
        is_over.store(true, Ordering::Relaxed);
        (output, wall)
    });
    let output = output.map_err(|source| BenchError::Start {
        program: program.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok((output.stdout, wall));
    }
    let how = if is_late.into_inner() {
        format!("did not end within {} s", deadline.as_secs_f64())
    } else {
        format!("failed ({})", output.status)
    };
    Err(BenchError::Failed {
        program,
        how,
        said: tail(&[output.stdout, output.stderr].concat()),
    })
}

fn kill_group(leader: u32) {
    let leader = i32::try_from(leader).ok().and_then(Pid::from_raw);
    // It may have ended by itself.
    let _ = leader.map(|it| kill_process_group(it, Signal::KILL));
}

/// What a process and all its descendants hold at this moment, bytes: the sum of their resident sets,
/// so that what they share counts for each.
pub(crate) fn memory_of_tree(root: u32) -> u64 {
    let memory = |id| status_of(id, "VmRSS:").unwrap_or(0) * 1024;
    tree(root).into_iter().map(memory).sum()
}

/// The processor time that a process has used itself, and that its living descendants have.
pub(crate) fn processor_time_of_tree(root: u32) -> (Duration, Duration) {
    let own = processor_time_of(root);
    let all: Duration = tree(root).into_iter().map(processor_time_of).sum();
    (own, all.saturating_sub(own))
}

/// A process and all its descendants.
fn tree(root: u32) -> HashSet<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        if let Some(parent) = status_of(id, "PPid:").and_then(|it| u32::try_from(it).ok()) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut seen = HashSet::new();
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        if seen.insert(id) {
            left.extend(children.get(&id).into_iter().flatten());
        }
    }
    seen
}

/// User and system time, nothing of a process that is gone. To the clock's tick, 10 ms mostly.
fn processor_time_of(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // What comes after the name, which may have spaces and brackets in it, begins with the third field.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|it| it.parse::<u64>().ok()).sum();
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks * 1000 / a_second)
}

/// The most that a process itself ever held, bytes; `None` if it is gone.
pub(crate) fn peak_memory_of(id: u32) -> Option<u64> {
    status_of(id, "VmHWM:").map(|kib| kib * 1024)
}

fn status_of(id: u32, key: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn name_of(command: &Command) -> String {
    let arguments = command.get_args().map(std::ffi::OsStr::to_string_lossy);
    let program = std::iter::once(command.get_program().to_string_lossy());
    let words: Vec<_> = program.chain(arguments).collect();
    words.join(" ")
}

/// The last lines of what a program said.
pub(crate) fn tail(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_timed_and_its_children_are_weighed() {
        let script = "python3 -c 'import time; x = bytearray(64 << 20); time.sleep(0.3)'; exit 0";
        let run = watch(Command::new("sh").args(["-c", script])).unwrap();
        assert!(run.wall >= Duration::from_millis(300), "{run:?}");
        assert!(run.peak_memory > Some(64 << 20), "{run:?}");
    }

    #[test]
    fn the_memory_of_one_that_is_soon_over_is_not_told() {
        let run = watch(&mut Command::new("true")).unwrap();
        assert_eq!(run.peak_memory, None, "{run:?}");
    }

    #[test]
    fn processor_time_is_told_apart_from_that_of_children() {
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        // What runs behind has no standard input of its own.
        let script = format!("exec 3<&0; sh -c '{busy}; echo; read _ <&3' & wait");
        let mut command = Command::new("sh");
        let command = command.args(["-c", &script]).stdout(Stdio::piped());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let (own, children) = processor_time_of_tree(child.id());
        assert!(children > own, "{children:?}, {own:?}");
        assert_eq!(processor_time_of_tree(u32::MAX), Default::default());
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn what_does_not_end_is_ended_with_its_children_and_told_as_such() {
        // The child holds the output open, so that its end is needed as well.
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 60 & wait"]);
        let since = Instant::now();
        let error = to_its_end(&mut command, Duration::from_millis(300), |_| ()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("within 0.3 s"), "{error}");
        assert!(error.contains("begun"), "{error}");
        assert!(since.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_failure_tells_what_the_program_said() {
        let error = watch(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
        let error = output_of(&mut Command::new("/nonexistent/program")).unwrap_err();
        assert!(matches!(error, BenchError::Start { .. }), "{error}");
    }
}
