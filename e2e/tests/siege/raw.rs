//! Sockets and frames written by hand: what no library would send.

use std::time::Duration;

use e2e::within_deadline;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `host:port` of a URL.
pub(crate) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").expect("a URL").1;
    rest.split('/').next().expect("a host")
}

pub(crate) async fn tcp(authority: &str) -> TcpStream {
    within_deadline("connection", TcpStream::connect(authority))
        .await
        .expect("the port is open")
}

/// Sends bytes as they are, and gives all that comes back until the other side closes, or nothing more
/// comes for so long. What comes first is waited for as long as it takes.
pub(crate) async fn exchange(authority: &str, request: &[u8], patience: Duration) -> String {
    let mut stream = tcp(authority).await;
    // A refusal may come, and the end with it, before all of it is sent.
    let _ = within_deadline("room for a request", stream.write_all(request)).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let mut read = within_deadline("answer or end", stream.read(&mut buffer)).await;
    while let Ok(bytes @ 1..) = read {
        answer.extend_from_slice(&buffer[..bytes]);
        let more = tokio::time::timeout(patience, stream.read(&mut buffer)).await;
        read = more.unwrap_or(Ok(0));
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of the first answer to a request of these lines, without the last empty one.
pub(crate) async fn status(authority: &str, lines: &[&str]) -> u16 {
    let request = lines.join("\r\n") + "\r\nConnection: close\r\n\r\n";
    let answer = exchange(authority, request.as_bytes(), Duration::from_secs(20)).await;
    status_of(&answer)
}

/// The status that an answer begins with.
pub(crate) fn status_of(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// The request of a handshake, with more header lines, each with its end.
pub(crate) fn handshake(authority: &str, more: &str) -> String {
    format!(
        "GET /dev HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// An open socket, with its bytes.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn open(websocket: &str) -> Self {
        Self::try_open(websocket).await.expect("admitted")
    }

    /// Opens one, or gives the status that refuses it.
    pub(crate) async fn try_open(websocket: &str) -> Result<Self, u16> {
        let authority = authority(websocket);
        let mut stream = tcp(authority).await;
        let request = handshake(authority, "");
        let opened = async {
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                // Byte by byte: what follows are frames.
                head.push(stream.read_u8().await.expect("an answer"));
            }
            String::from_utf8(head).expect("text")
        };
        let head = within_deadline("handshake", opened).await;
        match status_of(&head) {
            101 => Ok(Self(stream)),
            status => Err(status),
        }
    }

    /// Writes bytes, as far as the other side takes them.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = within_deadline("room for bytes", self.0.write_all(bytes)).await;
    }

    /// Reads frames up to the close, and gives its code; `None` if the end comes without one.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        within_deadline("close", async {
            loop {
                let (opcode, payload) = self.frame().await?;
                if opcode == 8 {
                    let code = payload.get(..2)?;
                    return Some(u16::from_be_bytes([code[0], code[1]]));
                }
            }
        })
        .await
    }

    /// The next frame: its opcode and payload.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.0.read_u8().await.ok()?;
        let length = match self.0.read_u8().await.ok()? & 0x7f {
            126 => usize::from(self.0.read_u16().await.ok()?),
            127 => usize::try_from(self.0.read_u64().await.ok()?).ok()?,
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((first & 0x0f, payload))
    }
}

/// Says that this is the last frame of a message.
pub(crate) const FIN: u8 = 0x80;

/// Opcodes.
pub(crate) const CONTINUE: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;

/// A frame as a client sends it, masked with zeroes, which change nothing.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// What comes before a payload of so many bytes.
pub(crate) fn head(first: u8, length: usize) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..126 => head.push(0x80 | u8::try_from(length).expect("short")),
        126..65_536 => {
            head.push(0x80 | 0x7e);
            head.extend(u16::try_from(length).expect("medium").to_be_bytes());
        }
        _ => {
            head.push(0x80 | 0x7f);
            head.extend(u64::try_from(length).expect("long").to_be_bytes());
        }
    }
    head.extend([0; 4]);
    head
}

/// The close that a client sends.
pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes()[..], reason].concat())
}
