//! Lines for people, written by a thread of their own: whoever tells something never waits for a
//! reader, who may have stopped reading (a pager, a terminal after Ctrl-S, a careless parent).

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that may wait to be written; what comes on top of that is dropped, and counted.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How long the end of the program waits for a reader.
const PATIENCE: Duration = Duration::from_millis(500);

/// A queue of lines, and the thread that writes them.
#[derive(Clone)]
pub(crate) struct Notes(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<String>,
    bytes: usize,
    /// Lines that came after those and found no room.
    dropped: u64,
    /// Whether the thread is at a line.
    writing: bool,
}

impl Notes {
    /// Writes to `stream` from now on, a line in one piece.
    pub(crate) fn on(stream: impl Write + Send + 'static) -> Self {
        let queue = Arc::<Queue>::default();
        let writers = Arc::clone(&queue);
        std::thread::spawn(move || writers.write_to(stream));
        Self(queue)
    }

    /// Tells a line, without its end. Never blocks.
    pub(crate) fn tell(&self, line: &str) {
        let mut waiting = self.0.lock();
        if waiting.bytes > 0 && waiting.bytes + line.len() >= WAITING_BYTES_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.confess();
        waiting.push(format!("{line}\n"));
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, or half a second if nobody reads it.
    pub(crate) fn finish(&self) {
        let waiting = self.0.lock();
        let unwritten = |it: &mut Waiting| it.writing || !it.lines.is_empty() || it.dropped > 0;
        let waited = self
            .0
            .changed
            .wait_timeout_while(waiting, PATIENCE, unwritten);
        // Whichever way it went, this was all that there is time for.
        drop(waited);
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut stream: impl Write) {
        loop {
            let line = self.next();
            // Where the notes go is gone: there is nobody left to tell.
            let _ = stream
                .write_all(line.as_bytes())
                .and_then(|()| stream.flush());
            self.lock().writing = false;
            self.changed.notify_all();
        }
    }

    fn next(&self) -> String {
        let mut waiting = self.lock();
        loop {
            if let Some(line) = waiting.pop() {
                waiting.writing = true;
                return line;
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Waiting {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }

    fn pop(&mut self) -> Option<String> {
        if self.lines.is_empty() {
            self.confess();
        }
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        Some(line)
    }

    /// Puts a line where those that were dropped would have been.
    fn confess(&mut self) {
        match std::mem::take(&mut self.dropped) {
            0 => {}
            1 => self.push("(1 line is missing here: nobody was reading)\n".to_owned()),
            many => self.push(format!(
                "({many} lines are missing here: nobody was reading)\n"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;

    /// A stream that takes a line each time it is allowed to.
    struct Reluctant {
        allowed: Receiver<()>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // After the last permission all is allowed.
            let _ = self.allowed.recv();
            let mut written = self.written.lock().unwrap();
            written.push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn reluctant() -> (Notes, Sender<()>, Arc<Mutex<String>>) {
        let (allow, allowed) = channel();
        let written = Arc::default();
        let stream = Reluctant {
            allowed,
            written: Arc::clone(&written),
        };
        (Notes::on(stream), allow, written)
    }

    /// Finishes, however long the writer is kept waiting for a turn on a busy machine.
    fn finished(notes: &Notes) {
        let since = Instant::now();
        let is_done = || {
            let waiting = notes.0.lock();
            !waiting.writing && waiting.lines.is_empty() && waiting.dropped == 0
        };
        notes.finish();
        while !is_done() {
            assert!(since.elapsed() < Duration::from_mins(1), "it is written");
            notes.finish();
        }
    }

    #[test]
    fn what_is_told_is_written_in_order_before_the_end() {
        let (notes, allow, written) = reluctant();
        drop(allow);
        notes.tell("one");
        notes.clone().tell("two");
        finished(&notes);
        assert_eq!(*written.lock().unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_reader_that_stops_holds_nobody_up_and_learns_how_much_is_missing() {
        let (notes, allow, written) = reluctant();
        let line = "x".repeat(WAITING_BYTES_MAX / 4);
        let since = Instant::now();
        for _ in 0..20 {
            notes.tell(&line);
        }
        notes.finish();
        // A pause of the machine is no wait for the reader, who never reads.
        assert!(since.elapsed() < Duration::from_mins(1));

        drop(allow);
        finished(&notes);
        notes.tell("last");
        finished(&notes);
        let written = written.lock().unwrap();
        let kept = written.lines().filter(|it| **it == line).count();
        let missing = format!("({} lines are missing here: nobody was reading)", 20 - kept);
        assert!((3..=5).contains(&kept), "{kept}");
        assert!(written.ends_with(&format!("{line}\n{missing}\nlast\n")));
    }
}
