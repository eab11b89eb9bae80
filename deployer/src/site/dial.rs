//! Connections to the outside: TLS with the platform's root certificates, through the proxy of the
//! environment if there is one.

use std::io;
use std::sync::Arc;

use hyper::Uri;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A proxy's answer to CONNECT is short.
const ANSWER_BYTES_MAX: usize = 8192;

/// Any connection.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Opens connections.
pub(super) struct Dialer {
    tls: TlsConnector,
    proxy: Option<Uri>,
    /// Hosts, with all below them, that are not reached through the proxy.
    direct: Vec<String>,
}

impl Dialer {
    /// With the certificates and the proxy of the environment.
    pub(super) fn new() -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        // Platforms carry certificates that nobody can read; the others do.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let variable = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| std::env::var(name).ok());
            found.filter(|value| !value.is_empty())
        };
        let proxy = variable(["HTTPS_PROXY", "https_proxy"]);
        let proxy = proxy.map(|it| it.parse().map_err(io::Error::other));
        let direct = variable(["NO_PROXY", "no_proxy"]).unwrap_or_default();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            proxy: proxy.transpose()?,
            direct: direct.split(',').map(|it| it.trim().to_owned()).collect(),
        })
    }

    /// Connects to the host of a URL.
    pub(super) async fn connect(&self, url: &Uri) -> io::Result<Box<dyn Connection>> {
        let host = url
            .host()
            .ok_or_else(|| io::Error::other("a URL without a host"))?;
        let is_secure = matches!(url.scheme_str(), Some("https" | "wss"));
        let port = url.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let proxy = self
            .proxy
            .as_ref()
            .filter(|_| is_secure && !is_direct(host, &self.direct));
        let stream = match proxy {
            Some(proxy) => through(proxy, host, port).await?,
            None => TcpStream::connect((host, port)).await?,
        };
        if !is_secure {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }
}

fn is_direct(host: &str, direct: &[String]) -> bool {
    direct
        .iter()
        .map(|it| it.trim_start_matches('.'))
        .any(|it| {
            let below = host
                .strip_suffix(it)
                .is_some_and(|rest| rest.ends_with('.'));
            it == "*" || host == it || (!it.is_empty() && below)
        })
}

async fn through(proxy: &Uri, host: &str, port: u16) -> io::Result<TcpStream> {
    let proxy_host = proxy
        .host()
        .ok_or_else(|| io::Error::other("a proxy without a host"))?;
    let mut stream = TcpStream::connect((proxy_host, proxy.port_u16().unwrap_or(80))).await?;
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
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
        Err(io::Error::other(format!("the proxy refuses: {first}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_no_proxy_and_below_them_are_reached_directly() {
        let direct = ["127.0.0.1", "localhost", ".example.com", ""].map(str::to_owned);
        for (host, expected) in [
            ("127.0.0.1", true),
            ("localhost", true),
            ("example.com", true),
            ("a.example.com", true),
            ("anexample.com", false),
            ("example.org", false),
        ] {
            assert_eq!(is_direct(host, &direct), expected, "{host}");
        }
        assert!(is_direct("any", &["*".to_owned()]));
    }
}
