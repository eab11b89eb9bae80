//! The programs that were built, each at a path of its own: cargo writes to the same path each time, and
//! functions may have to be started from the program before.

use std::io;
use std::path::{Path, PathBuf};

/// Copies beside the program itself. They go with this value.
#[derive(Debug, Default)]
pub(super) struct Programs {
    folder: Option<PathBuf>,
    /// The newest one last.
    kept: Vec<PathBuf>,
    count: u64,
}

impl Programs {
    /// Copies a program, and gives where it is now.
    pub(super) fn keep(&mut self, program: &Path) -> io::Result<PathBuf> {
        let folder = match &self.folder {
            Some(folder) => folder,
            None => self.folder.insert(new_folder(program)?),
        };
        self.count += 1;
        let kept = folder.join(format!("bootstrap-{}", self.count));
        std::fs::copy(program, &kept)?;
        self.kept.push(kept.clone());
        Ok(kept)
    }

    /// Whether a program is the same as the one that was kept last.
    pub(super) fn is_last(&self, program: &Path) -> bool {
        let content = |path: &Path| std::fs::read(path).ok();
        let last = self.kept.last().and_then(|it| content(it));
        last.is_some() && last == content(program)
    }

    /// Nothing is started any more from those before the last one.
    pub(super) fn forget_old(&mut self) {
        let last = self.kept.pop();
        self.kept.drain(..).for_each(remove);
        self.kept.extend(last);
    }

    /// The last one is of no use.
    pub(super) fn forget_last(&mut self) {
        self.kept.pop().into_iter().for_each(remove);
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What cannot be removed is below cargo's own folder, which anybody may remove.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// What the folders' names begin with, before the number of their process.
const FOLDER: &str = "watch-";

/// A folder of this process's own, beside the program.
fn new_folder(program: &Path) -> io::Result<PathBuf> {
    let beside = program.parent().unwrap_or(Path::new("."));
    clear_away(beside);
    let folder = beside.join(format!("{FOLDER}{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Removes what processes have left that were killed.
fn clear_away(beside: &Path) {
    for entry in std::fs::read_dir(beside).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|it| it.strip_prefix(FOLDER));
        let process = process.and_then(|it| it.parse::<i32>().ok());
        let process = process.and_then(rustix::process::Pid::from_raw);
        let is_gone = |process| {
            let there = rustix::process::test_kill_process(process);
            there == Err(rustix::io::Errno::SRCH)
        };
        if process.is_some_and(is_gone) {
            // Whoever cannot remove it is not in its way either.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn remove(program: PathBuf) {
    // It is removed with its folder, if not now.
    let _ = std::fs::remove_file(program);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_stays_as_it_was_until_another_has_taken_its_place() {
        let folder = std::env::temp_dir().join(format!("chatctl-programs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("bootstrap");
        let mut programs = Programs::default();
        assert!(!programs.is_last(&program));
        std::fs::write(&program, "one").unwrap();
        // Of a process that was killed: no number is that great.
        let left = folder.join(format!("{FOLDER}{}", i32::MAX));
        std::fs::create_dir(&left).unwrap();
        let one = programs.keep(&program).unwrap();
        assert!(!left.exists());
        assert!(programs.is_last(&program));
        std::fs::write(&program, "two").unwrap();
        assert!(!programs.is_last(&program));
        let two = programs.keep(&program).unwrap();
        assert_eq!(std::fs::read_to_string(&one).unwrap(), "one");
        programs.forget_last();
        assert!(!two.exists() && one.exists());
        let two = programs.keep(&program).unwrap();
        programs.forget_old();
        assert!(two.exists() && !one.exists());
        drop(programs);
        assert_eq!(
            std::fs::read_dir(&folder).unwrap().count(),
            1,
            "the program itself"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
