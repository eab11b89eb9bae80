//! A terminal that a program writes to, 80 columns wide, and what it wrote there.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Both ends of it.
#[derive(Debug)]
pub struct Terminal {
    screen: File,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// A new one.
    ///
    /// # Panics
    /// When the operating system has none.
    #[must_use]
    pub fn new() -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keyboard).expect("granted");
        unlockpt(&keyboard).expect("unlocked");
        let name = ptsname(&keyboard, Vec::new()).expect("a name");
        let name = name.into_string().expect("UTF-8");
        let screen = OpenOptions::new().read(true).write(true).open(name);
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (mut keyboard, kept) = (File::from(keyboard), Arc::clone(&written));
        // It ends with an error when the last writer is gone.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = keyboard.read(&mut bytes) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&bytes[..read]);
            }
        });
        Self {
            screen: screen.expect("it opens"),
            written,
        }
    }

    /// For a program to write to.
    ///
    /// # Panics
    /// When too many files are open.
    #[must_use]
    pub fn stdio(&self) -> Stdio {
        self.screen.try_clone().expect("a file").into()
    }

    /// Everything that was written to it, with what moves the cursor.
    #[must_use]
    pub fn written(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }

    /// The lines that are to be seen on it, as if it were high enough for all: of what moves the cursor
    /// it knows "up" and "delete what is below", and panics at anything else but colours.
    ///
    /// # Panics
    /// When something else moves the cursor.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        seen(&self.written())
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

fn seen(written: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = written;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            '\n' => lines.push(String::new()),
            // What follows is a new line, or deletes it.
            '\r' => {}
            '\x1b' => {
                let end = rest.find(|it: char| it.is_ascii_alphabetic());
                let (code, after) = rest.split_at(end.expect("a whole code") + 1);
                rest = after;
                match code.strip_prefix('[').expect("a code of the screen") {
                    "J" | "K" => lines.last_mut().expect("one").clear(),
                    up if up.ends_with('A') => {
                        let up: usize = up.trim_end_matches('A').parse().expect("a number");
                        lines.truncate(lines.len().saturating_sub(up).max(1));
                    }
                    color if color.ends_with('m') => {}
                    other => panic!("nothing here knows {other:?}"),
                }
            }
            other => lines.last_mut().expect("one").push(other),
        }
    }
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_over_is_not_to_be_seen() {
        let drawn = "one\r\nbelow\r\n\x1b[1A\r\x1b[Jtwo\r\n\x1b[31mbelow\x1b[0m\r\n";
        assert_eq!(seen(drawn), ["one", "two", "below"]);
    }
}
