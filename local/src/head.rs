//! The names of a request's headers as its client wrote them. API Gateway hands them to functions
//! so; the HTTP library only keeps them in lower case.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::tap::Tapped;

/// Bytes kept at most: more than the HTTP library takes as a head anyway.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Ends a head.
const END: &[u8] = b"\r\n\r\n";

/// The head of the first request on a connection. A handshake is always that one; later requests
/// get no names of their own from here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    complete: bool,
}

impl Head {
    /// Names by their lower-case form. The head is forgotten with that.
    pub(crate) fn take_names(&self) -> HashMap<String, String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.complete = true;
        names(&std::mem::take(&mut state.bytes))
    }

    /// Whether nothing more is to be kept.
    fn keep(&self, bytes: &[u8]) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.complete {
            let seen = state.bytes.len().saturating_sub(END.len() - 1);
            state.bytes.extend_from_slice(bytes);
            state.complete = state.bytes.len() > HEAD_BYTES_MAX
                || state.bytes[seen..]
                    .windows(END.len())
                    .any(|part| part == END);
        }
        state.complete
    }
}

/// Reads the header names of a request's head. Whatever is not a header is passed over.
pub(crate) fn names(head: &[u8]) -> HashMap<String, String> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let names = lines.map_while(|line| {
        let name = line.split(|byte| *byte == b':').next()?;
        let ends = line.is_empty() || line == b"\r";
        (!ends).then(|| std::str::from_utf8(name).unwrap_or_default().to_owned())
    });
    names
        .map(|name| (name.to_ascii_lowercase(), name))
        .collect()
}

/// A stream that keeps the first head read from it.
pub(crate) fn recorded<S>(stream: S) -> (Tapped<S, impl FnMut(&[u8]) + Unpin>, Head) {
    let head = Head::default();
    // `None` once the head is complete.
    let mut kept = Some(head.clone());
    let tap = move |read: &[u8]| {
        kept.take_if(|head| head.keep(read));
    };
    (Tapped::new(stream, tap), head)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn names_keep_the_clients_case() {
        let head = b"GET /dev HTTP/1.1\r\nHost: x\r\nX-myApp: a:b\r\n\r\nBody: no";
        let expected = [("host", "Host"), ("x-myapp", "X-myApp")];
        let expected = expected.map(|(name, written)| (name.to_owned(), written.to_owned()));
        assert_eq!(names(head), HashMap::from(expected));
    }

    #[tokio::test]
    async fn a_head_is_complete_when_its_end_comes_in_pieces() {
        let pieces = [&b"GET / HTTP/1.1\r\nA: b\r"[..], b"\n\r", b"\nC: d\r\n\r\n"];
        let (mut recorder, head) = recorded(std::io::Cursor::new(pieces.concat()));
        for piece in pieces {
            let mut read = vec![0; piece.len()];
            recorder.read_exact(&mut read).await.expect("a cursor");
        }
        assert_eq!(Arc::strong_count(&head.0), 1, "nothing more is kept");
        assert_eq!(
            head.take_names(),
            HashMap::from([("a".to_owned(), "A".to_owned())])
        );
        assert!(head.take_names().is_empty(), "it is forgotten");
    }
}
