//! Connections to the outside: TLS with the platform's root certificates, through the proxy of the
//! environment if there is one, to whichever address of a name answers.

use std::cell::OnceCell;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A proxy's answer to CONNECT is short.
const ANSWER_BYTES_MAX: usize = 8192;

/// How long an address may take. One that a firewall swallows never answers.
const ADDRESS_LIMIT: Duration = Duration::from_secs(10);

/// How long an address is tried alone before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Any connection.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A connection for requests over HTTP.
pub(crate) enum Line {
    /// To the host of the URL, be it through a proxy's tunnel.
    ToHost(Box<dyn Connection>),
    /// To a proxy, which fetches what is not encrypted itself: it wants the whole URL.
    ToProxy(Box<dyn Connection>, Option<HeaderValue>),
}

/// Opens connections.
pub(crate) struct Dialer {
    /// Made when it is first needed: the certificates take their time.
    tls: OnceCell<TlsConnector>,
    /// The rules that the AWS SDKs follow as well.
    proxies: Matcher,
}

impl Dialer {
    /// With the certificates and the proxies of the environment.
    pub(crate) fn new() -> Self {
        Self::with(Matcher::from_env())
    }

    fn with(proxies: Matcher) -> Self {
        Self {
            tls: OnceCell::new(),
            proxies,
        }
    }

    /// Connects to the host of a URL for a request over HTTP.
    pub(crate) async fn line(&self, url: &Uri) -> Result<Line> {
        match self.proxy(url) {
            Some(proxy) if !is_secure(url) => {
                let stream = self.to_proxy(&proxy).await?;
                Ok(Line::ToProxy(stream, proxy.basic_auth().cloned()))
            }
            _ => Ok(Line::ToHost(self.connect(url).await?)),
        }
    }

    /// Connects to the host of a URL, through a tunnel if there is a proxy.
    pub(crate) async fn connect(&self, url: &Uri) -> Result<Box<dyn Connection>> {
        let (host, port) = destination(url)?;
        let stream = match self.proxy(url) {
            Some(proxy) => {
                let stream = self.to_proxy(&proxy).await?;
                tunnel(stream, host, port, proxy.basic_auth()).await?
            }
            None => Box::new(reach(host, port).await?),
        };
        if is_secure(url) {
            self.secure(host, stream).await
        } else {
            Ok(stream)
        }
    }

    fn proxy(&self, url: &Uri) -> Option<Intercept> {
        let host = url.host()?.trim_matches(['[', ']']);
        let ip: Option<IpAddr> = host.parse().ok();
        // No proxy could reach this machine by that name, whatever NO_PROXY says of it.
        if host == "localhost" || ip.is_some_and(|it| it.is_loopback()) {
            return None;
        }
        // The rules know no sockets.
        let scheme = if is_secure(url) { "https" } else { "http" };
        let page = format!("{scheme}://{}/", url.authority()?).parse().ok()?;
        self.proxies.intercept(&page)
    }

    async fn to_proxy(&self, proxy: &Intercept) -> Result<Box<dyn Connection>> {
        let url = proxy.uri();
        let (host, port) = destination(url)?;
        match url.scheme_str() {
            Some("http") | None => Ok(Box::new(reach(host, port).await?)),
            Some("https") => {
                let stream = reach(host, port).await?;
                self.secure(host, Box::new(stream)).await
            }
            Some(other) => Err(Error::other(format!(
                "`{other}` proxies are not known here; name one that begins with `http://` or `https://`"
            ))),
        }
    }

    async fn secure(&self, host: &str, stream: Box<dyn Connection>) -> Result<Box<dyn Connection>> {
        let name = ServerName::try_from(host.to_owned()).map_err(Error::other)?;
        let tls = if let Some(tls) = self.tls.get() {
            tls
        } else {
            let made = tls()?;
            self.tls.get_or_init(|| made)
        };
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

fn tls() -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    // Platforms carry certificates that nobody can read; the others do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn is_secure(url: &Uri) -> bool {
    matches!(url.scheme_str(), Some("https" | "wss"))
}

fn destination(url: &Uri) -> Result<(&str, u16)> {
    let host = url
        .host()
        .ok_or_else(|| Error::other("a URL without a host"))?;
    let port = url.port_u16();
    Ok((host, port.unwrap_or(if is_secure(url) { 443 } else { 80 })))
}

async fn reach(host: &str, port: u16) -> Result<TcpStream> {
    let addresses = lookup_host((host.trim_matches(['[', ']']), port)).await?;
    reach_any(addresses.collect()).await
}

/// Connects to the first address that answers, and gives the last refusal if none does. Names often
/// have an address that cannot be reached from here, of IPv6 above all.
async fn reach_any(addresses: Vec<SocketAddr>) -> Result<TcpStream> {
    let mut untried = addresses.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut last = Error::new(ErrorKind::NotFound, "the name has no address");
    loop {
        tries.extend(untried.next().map(|address| async move {
            let connected = timeout(ADDRESS_LIMIT, TcpStream::connect(address)).await;
            connected.unwrap_or_else(|late| Err(late.into())).map_err(
                // Which of the addresses it was is half of the reason.
                |error| Error::new(error.kind(), format!("{address}: {error}")),
            )
        }));
        let answer = if untried.len() == 0 {
            tries.next().await
        } else {
            // Late is no answer; the next address is tried as well.
            let Ok(answer) = timeout(HEAD_START, tries.next()).await else {
                continue;
            };
            answer
        };
        match answer {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last = error,
            None => return Err(last),
        }
    }
}

async fn tunnel(
    mut stream: Box<dyn Connection>,
    host: &str,
    port: u16,
    authorization: Option<&HeaderValue>,
) -> Result<Box<dyn Connection>> {
    let authorization = authorization.and_then(|it| it.to_str().ok());
    let authorization = authorization.map(|it| format!("Proxy-Authorization: {it}\r\n"));
    let request = format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{}\r\n",
        authorization.unwrap_or_default()
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the answer belongs to TLS.
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < ANSWER_BYTES_MAX {
        answer.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split_whitespace().nth(1);
    if status == Some("200") {
        Ok(stream)
    } else {
        let first = answer.lines().next().unwrap_or_default();
        Err(Error::other(format!("the proxy refuses: {first}")))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    fn proxy(dialer: &Dialer, url: &str) -> Option<String> {
        let found = dialer.proxy(&url.parse().unwrap())?;
        Some(found.uri().to_string())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_none() {
        let proxies = Matcher::builder()
            .http("http://plain:1")
            .https("http://secure:2")
            .no("example.com, 10.0.0.0/8");
        let dialer = Dialer::with(proxies.build());
        for (url, expected) in [
            ("http://chat.test/", Some("http://plain:1/")),
            ("ws://chat.test/dev", Some("http://plain:1/")),
            ("https://chat.test/", Some("http://secure:2/")),
            ("wss://chat.test/dev", Some("http://secure:2/")),
            ("https://a.example.com/", None),
            ("https://anexample.com/", Some("http://secure:2/")),
            ("https://10.1.2.3/", None),
            ("http://127.0.0.1:8765/", None),
            ("ws://127.0.0.1:8765/dev", None),
            ("http://[::1]:8765/", None),
            ("http://localhost:8765/", None),
        ] {
            assert_eq!(proxy(&dialer, url).as_deref(), expected, "{url}");
        }
        let all = Dialer::with(Matcher::builder().all("http://both:3").build());
        for url in ["http://chat.test/", "wss://chat.test/dev"] {
            let expected = Some("http://both:3/");
            assert_eq!(proxy(&all, url).as_deref(), expected, "{url}");
        }
    }

    /// A proxy that answers once and gives the request that it had.
    async fn answering(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (address, asked)
    }

    #[tokio::test]
    async fn a_proxy_is_told_who_asks_and_its_refusal_is_passed_on() {
        let (address, asked) = answering("HTTP/1.1 407 Who are you\r\n\r\n").await;
        let proxies = Matcher::builder().all(format!("http://ann:s%20ecret@{address}"));
        let dialer = Dialer::with(proxies.build());
        let url = "wss://chat.test/dev".parse().unwrap();
        let refusal = dialer.connect(&url).await.err().unwrap();
        assert_eq!(
            refusal.to_string(),
            "the proxy refuses: HTTP/1.1 407 Who are you"
        );
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("CONNECT chat.test:443 HTTP/1.1\r\n"));
        // `ann:s ecret`.
        let header = "\r\nProxy-Authorization: Basic YW5uOnMgZWNyZXQ=\r\n";
        assert!(asked.contains(header), "{asked}");
    }

    #[tokio::test]
    async fn what_is_not_encrypted_is_asked_of_the_proxy_itself() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxies = Matcher::builder().http(format!("http://ann:b@{address}"));
        let dialer = Dialer::with(proxies.build());
        let url = "http://chat.test/".parse().unwrap();
        let line = dialer.line(&url).await.unwrap();
        assert!(matches!(line, Line::ToProxy(_, Some(_))));
    }

    #[tokio::test]
    async fn a_kind_of_proxy_that_is_not_known_is_named() {
        let proxies = Matcher::builder().all("socks5://127.0.0.1:1080");
        let dialer = Dialer::with(proxies.build());
        let url = "https://chat.test/".parse().unwrap();
        let refusal = dialer.connect(&url).await.err().unwrap();
        assert!(refusal.to_string().starts_with("`socks5` proxies"));
    }

    /// An address that never answers, as behind a firewall, as long as what is given is kept: its queue
    /// is full and nobody accepts.
    async fn dead() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = timeout(HEAD_START, TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
        }
        (listener, queued)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_holds_nobody_up() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let good = listener.local_addr().unwrap();
        let (dead, _queued) = dead().await;
        let dead = dead.local_addr().unwrap();
        let since = Instant::now();
        let stream = reach_any(vec![dead, dead, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(since.elapsed() < ADDRESS_LIMIT, "{:?}", since.elapsed());
    }

    #[tokio::test]
    async fn where_no_address_answers_the_last_refusal_is_told() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let closed = listener.local_addr().unwrap();
        drop(listener);
        let error = reach_any(vec![closed]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with(&closed.to_string()));
        let error = reach_any(Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
