//! A proxy that knows AWS's names alone, and sends all of them to MiniStack: tunnels for what is
//! encrypted, and requests for websites of buckets, which have no TLS.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const DOMAINS: [&str; 2] = [".amazonaws.com", ".cloudfront.net"];
/// What the hosts of buckets' websites have in their names.
const WEBSITE: &str = ".s3-website";
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// The ports that MiniStack listens on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// With TLS.
    pub(super) tls: u16,
    /// Without, for websites.
    pub(super) website: u16,
}

/// The proxy. It ends with this value.
pub(super) struct Proxy {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts it on a free port, in front of those that MiniStack listens on. What goes through it
    /// comes from the loopback address `from`.
    pub(super) async fn start(ministack: Ports, from: Ipv4Addr) -> Self {
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

    /// Connects to it, to ask it for what is not encrypted.
    pub(super) async fn plain(&self) -> Result<TcpStream> {
        TcpStream::connect(self.address).await
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

async fn serve(mut client: TcpStream, ministack: Ports, from: Ipv4Addr) -> Result<()> {
    let request = head(&mut client).await?;
    let (port, forwarded) = if is_for_aws(&request) {
        (ministack.tls, None)
    } else if let Some(request) = for_a_website(&request) {
        (ministack.website, Some(request))
    } else {
        let refusal = "HTTP/1.1 403 Not a host of AWS\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    };
    let Ok(mut server) = reach(port, from).await else {
        let refusal = "HTTP/1.1 502 MiniStack is gone\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    match forwarded {
        Some(request) => server.write_all(request.as_bytes()).await?,
        None => client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?,
    }
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn reach(port: u16, from: Ipv4Addr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
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

/// A request for a bucket's website as the website itself wants it, and the last one of its connection.
fn for_a_website(request: &str) -> Option<String> {
    let (line, headers) = request.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, url) = (words.next()?, words.next()?.strip_prefix("http://")?);
    let (host, path) = url.split_once('/')?;
    if !host.contains(WEBSITE) || !DOMAINS.iter().any(|domain| host.ends_with(domain)) {
        return None;
    }
    let kept = headers
        .lines()
        .filter(|it| !it.is_empty() && !it.to_lowercase().contains("connection:"));
    let line = format!("{method} /{path} HTTP/1.1");
    let lines: Vec<_> = std::iter::once(line.as_str())
        .chain(kept)
        .chain(["Connection: close", "", ""])
        .collect();
    Some(lines.join("\r\n"))
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
    #[test]
    fn a_website_is_asked_in_its_own_words() {
        let host = "Host: b.s3-website-us-east-1.amazonaws.com";
        let asked = format!(
            "GET http://b.s3-website-us-east-1.amazonaws.com/a.js HTTP/1.1\r\n{host}\r\n\
             Proxy-Connection: keep-alive\r\n\r\n"
        );
        let expected = format!("GET /a.js HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
        assert_eq!(for_a_website(&asked), Some(expected));
        for request in [
            "GET http://b.s3.us-east-1.amazonaws.com/ HTTP/1.1\r\n\r\n",
            "GET http://b.s3-website.example.org/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(for_a_website(request), None, "{request}");
        }
    }
}
