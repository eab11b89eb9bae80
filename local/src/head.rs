//! The names of a request's headers as its client wrote them. API Gateway hands them to functions
//! so; the HTTP library only keeps them in lower case.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
#[derive(Debug)]
pub(crate) struct Recorder<S> {
    stream: S,
    /// `None` once the head is complete.
    head: Option<Head>,
}

impl<S> Recorder<S> {
    pub(crate) fn new(stream: S) -> (Self, Head) {
        let head = Head::default();
        let recorder = Self {
            stream,
            head: Some(head.clone()),
        };
        (recorder, head)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorder<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.head
            .take_if(|head| head.keep(&buffer.filled()[before..]));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorder<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
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
        let (mut recorder, head) = Recorder::new(io::Cursor::new(pieces.concat()));
        for piece in pieces {
            let mut read = vec![0; piece.len()];
            recorder.read_exact(&mut read).await.expect("a cursor");
        }
        assert!(recorder.head.is_none(), "nothing more is kept");
        assert_eq!(
            head.take_names(),
            HashMap::from([("a".to_owned(), "A".to_owned())])
        );
        assert!(head.take_names().is_empty(), "it is forgotten");
    }
}
