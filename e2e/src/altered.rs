//! The functions' program, made worse on purpose.

use std::path::PathBuf;

use crate::chatctl;

/// A program like the packaged one, but for one thing. Gone when dropped.
#[derive(Debug)]
pub struct Altered(PathBuf);

impl Altered {
    /// One that looks for a variable under another name, and so never finds it.
    ///
    /// # Panics
    /// When the program does not name the variable.
    #[must_use]
    pub fn without(variable: &str) -> Self {
        let mut program = std::fs::read(chatctl::packaged_bootstrap()).expect("it was built");
        let name = variable.as_bytes();
        let windows = program.windows(name.len()).enumerate();
        let places: Vec<_> = windows.filter(|(_, it)| *it == name).collect();
        let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
        assert!(!places.is_empty(), "`{variable}` has another name");
        for place in places {
            program[place + name.len() - 1] = b'!';
        }
        let folder = chatctl::target().join("tmp");
        std::fs::create_dir_all(&folder).expect("a folder below cargo's own");
        let path = folder.join(format!("without-{variable}-{}", std::process::id()));
        std::fs::write(&path, program).expect("a new file");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Altered {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
