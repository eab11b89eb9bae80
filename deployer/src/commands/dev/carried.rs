//! The program and the page that `chatctl` carries, as files for as long as the stack runs.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::site::Page;

/// A folder of the user's own with what this program carries. It goes with this value.
#[derive(Debug)]
pub(super) struct Carried(PathBuf);

impl Carried {
    /// Writes it.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn write(program: &[u8], page: &Page) -> io::Result<Self> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(io::Error::other)?;
        let name = format!("chatctl-{:016x}", u64::from_ne_bytes(name));
        let folder = std::env::temp_dir().join(name);
        // Nobody else can have made it before, or put anything into it: what it holds is run.
        DirBuilder::new().mode(0o700).create(&folder)?;
        let carried = Self(folder);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o700);
        options.open(carried.program())?.write_all(program)?;
        page.write(&carried.page())?;
        Ok(carried)
    }

    pub(super) fn program(&self) -> PathBuf {
        self.0.join("bootstrap")
    }

    pub(super) fn page(&self) -> PathBuf {
        self.0.join("wwwroot")
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // What cannot be removed lies among what is temporary.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_the_users_own_can_be_run_and_goes_with_its_value() {
        let carried = Carried::write(b"#!/bin/sh\nexit 7\n", &Page::embedded()).unwrap();
        let folder = carried.0.clone();
        for path in [folder.clone(), carried.program()] {
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", path.display());
        }
        let index = std::fs::read_to_string(carried.page().join("index.html")).unwrap();
        assert_eq!(index, include_str!("../../../../wwwroot/index.html"));
        drop(carried);
        assert!(!folder.exists());
    }
}
