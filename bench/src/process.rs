//! Processes, watched: how long they take, and how much memory they and their children hold.

use std::collections::{HashMap, HashSet};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::BenchError;

/// How long anything that is watched may take.
const DEADLINE: Duration = Duration::from_mins(5);
/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(10);

/// One run of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// From before its start to after its end.
    pub(crate) wall: Duration,
    /// The most that it and all its descendants held together, as seen every 10 ms, bytes.
    pub(crate) peak_memory: u64,
}

/// Runs a command to its end and gives what it wrote to standard output.
///
/// # Errors
/// If it cannot be run or fails; with the end of what it said.
pub(crate) fn output_of(command: &mut Command) -> Result<Vec<u8>, BenchError> {
    let program = name_of(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BenchError::Start {
            program: program.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = [output.stdout, output.stderr].concat();
    Err(BenchError::Failed {
        program,
        how: format!("failed ({})", output.status),
        said: tail(&said),
    })
}

/// Runs a command to its end and watches it meanwhile.
///
/// # Errors
/// As [`output_of`].
pub(crate) fn watch(command: &mut Command) -> Result<Run, BenchError> {
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
    let is_over = AtomicBool::new(false);
    let (output, wall, peak_memory) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !is_over.load(Ordering::Relaxed) {
                peak = peak.max(memory_of_tree(root));
                if since.elapsed() > DEADLINE {
                    kill_group(root);
                }
                thread::sleep(EVERY);
            }
            peak
        });
        let output = child.wait_with_output();
        let wall = since.elapsed();
        is_over.store(true, Ordering::Relaxed);
        (output, wall, watcher.join().unwrap_or(0))
    });
    let output = output.map_err(|source| BenchError::Start {
        program: program.clone(),
        source,
    })?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(BenchError::Failed {
            program,
            how: format!("failed ({})", output.status),
            said: tail(&said),
        });
    }
    Ok(Run { wall, peak_memory })
}

fn kill_group(leader: u32) {
    let leader = i32::try_from(leader).ok().and_then(Pid::from_raw);
    // It may have ended by itself.
    let _ = leader.map(|it| kill_process_group(it, Signal::KILL));
}

/// What a process and all its descendants hold at this moment, bytes: the sum of their resident sets,
/// so that what they share counts for each.
pub(crate) fn memory_of_tree(root: u32) -> u64 {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    for entry in entries.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        if let Some(parent) = status_of(id, "PPid:").and_then(|it| u32::try_from(it).ok()) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut seen = HashSet::new();
    let mut left = vec![root];
    let mut sum = 0;
    while let Some(id) = left.pop() {
        if seen.insert(id) {
            sum += status_of(id, "VmRSS:").unwrap_or(0) * 1024;
            left.extend(children.get(&id).into_iter().flatten());
        }
    }
    sum
}

/// The most that a process itself ever held, bytes; `None` if it is gone.
#[expect(dead_code, reason = "for the sections to come")]
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
        assert!(run.peak_memory > 64 << 20, "{run:?}");
    }

    #[test]
    fn a_failure_tells_what_the_program_said() {
        let error = watch(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
        let error = output_of(&mut Command::new("/nonexistent/program")).unwrap_err();
        assert!(matches!(error, BenchError::Start { .. }), "{error}");
    }
}
