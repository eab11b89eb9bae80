//! A proxy for `CONNECT` that knows AWS's names alone, and sends all of them to MiniStack.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const DOMAINS: [&str; 2] = [".amazonaws.com", ".cloudfront.net"];
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The proxy. It ends with this value.
pub(super) struct Proxy {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts it on a free port, in front of the one that MiniStack listens on. What goes through it
    /// comes from the loopback address `from`.
    pub(super) async fn start(ministack: u16, from: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => if let Ok((client, _)) = accepted {
                        // Whoever is cut off notices by himself.
                        connections.spawn(async move { drop(serve(client, ministack, from).await) });
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { address, task }
    }

    /// As `HTTPS_PROXY` wants it.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connects through it.
    pub(super) async fn connect(&self, host: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await?;
        let request = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let answer = head(&mut stream).await?;
        if answer.starts_with("HTTP/1.1 200 ") {
            Ok(stream)
        } else {
            Err(Error::other(answer))
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, ministack: u16, from: Ipv4Addr) -> Result<()> {
    let request = head(&mut client).await?;
    if !is_for_aws(&request) {
        let refusal = "HTTP/1.1 403 Not a host of AWS\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    }
    let Ok(mut server) = reach(ministack, from).await else {
        let refusal = "HTTP/1.1 502 MiniStack is gone\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn reach(ministack: u16, from: Ipv4Addr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket
        .connect((Ipv4Addr::LOCALHOST, ministack).into())
        .await
}

/// Reads up to the empty line, and no byte of what follows.
async fn head(stream: &mut TcpStream) -> Result<String> {
    let read = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD_BYTES_MAX {
                return Err(Error::other("too long a request"));
            }
            head.push(stream.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    };
    tokio::time::timeout(HEAD_TIMEOUT, read).await?
}

fn is_for_aws(request: &str) -> bool {
    let mut words = request.split_whitespace();
    let host = match (words.next(), words.next()) {
        (Some("CONNECT"), Some(authority)) => authority.strip_suffix(":443"),
        _ => None,
    };
    host.is_some_and(|host| DOMAINS.iter().any(|domain| host.ends_with(domain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_aws_are_let_through_and_only_with_tls() {
        for (request, is_let_through) in [
            (
                "CONNECT s3.us-east-1.amazonaws.com:443 HTTP/1.1\r\n\r\n",
                true,
            ),
            ("CONNECT d1.cloudfront.net:443 HTTP/1.1\r\n\r\n", true),
            ("CONNECT d1.cloudfront.net:80 HTTP/1.1\r\n\r\n", false),
            (
                "CONNECT amazonaws.com.example.org:443 HTTP/1.1\r\n\r\n",
                false,
            ),
            ("GET https://d1.cloudfront.net/ HTTP/1.1\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(is_for_aws(request), is_let_through, "{request}");
        }
    }
}
