//! The OpenID Connect provider that people sign in with: what it says of itself, where everybody can read it.
//! Whose tokens are good is the functions' business, and getting one the page's.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hyper::Uri;
use hyper::body::Bytes;
use serde::Deserialize;

use crate::dial::Dialer;
use crate::fetch::{FetchError, fetch};

/// Where a provider says where all else is, below its issuer (OpenID Connect Discovery, section 4).
const DOCUMENT: &str = "/.well-known/openid-configuration";

/// For all of it.
const LIMIT: Duration = Duration::from_secs(15);

/// Bytes of that document at most; large providers have 2 to 5 KB.
const BYTES_MAX: usize = 256 * 1024;

/// Who people sign in with, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignIn {
    issuer: String,
    client: String,
}

/// A provider, as it describes itself, and the chat's client id there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    sign_in: SignIn,
    document: Discovered,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// Why nobody could sign in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// It cannot be reached.
    #[error("`{url}` cannot be reached")]
    Unreachable {
        /// Where to.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// It answers something else.
    #[error("`{url}` answers {answer}")]
    Answer {
        /// Where.
        url: String,
        /// What came.
        answer: String,
    },
    /// It says that it is another one.
    #[error("the provider at `{asked}` calls itself `{said}`")]
    OtherIssuer {
        /// Who was asked for.
        asked: String,
        /// Who it says to be.
        said: String,
    },
    /// One of its addresses is not safe, or none.
    #[error(
        "the provider's `{name}` is `{value}`, which is no address that begins with `https://`"
    )]
    Endpoint {
        /// Which.
        name: &'static str,
        /// What it is.
        value: String,
    },
}

impl SignInError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unreachable { .. } => {
                "is `--issuer` right, and is the provider to be had from here?".to_owned()
            }
            Self::Answer { .. } => format!(
                "`--issuer` is the provider's address without `{DOCUMENT}`; docs/sign-in.md has those of \
                 some"
            ),
            Self::OtherIssuer { said, .. } => {
                format!("tokens name it letter by letter: set `--issuer {said}`, if it is that one")
            }
            Self::Endpoint { .. } => {
                "a token would travel unprotected: choose another provider".to_owned()
            }
        }
    }
}

impl SignIn {
    /// `None`, if the issuer is no address that can be trusted: only what is on this machine may do
    /// without TLS.
    pub(crate) fn new(issuer: &str, client: &str) -> Option<Self> {
        let uri = address(issuer)?;
        let is_bare = uri.query().is_none() && !issuer.contains(['#', '?']);
        is_bare.then(|| Self {
            issuer: issuer.to_owned(),
            client: client.to_owned(),
        })
    }

    /// Whether the provider is on this machine, where functions on AWS do not find it.
    pub(crate) fn is_here(&self) -> bool {
        address(&self.issuer).is_some_and(|it| is_loopback(&it))
    }

    /// Asks the provider where all else is.
    ///
    /// # Errors
    /// [`SignInError`], if it does not say so, or not safely.
    pub(crate) async fn discover(&self) -> Result<Provider, SignInError> {
        let url = format!("{}{DOCUMENT}", self.issuer.trim_end_matches('/'));
        let text = tokio::time::timeout(LIMIT, get(&url)).await;
        let late = |_| {
            let source = io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
            let url = url.clone();
            Err(SignInError::Unreachable { url, source })
        };
        let text = text.unwrap_or_else(late)?;
        let document: Discovered = serde_json::from_slice(&text).map_err(|error| {
            let answer = format!("with something else than its configuration: {error}");
            let url = url.clone();
            SignInError::Answer { url, answer }
        })?;
        self.check(document)
    }

    fn check(&self, document: Discovered) -> Result<Provider, SignInError> {
        if document.issuer != self.issuer {
            return Err(SignInError::OtherIssuer {
                asked: self.issuer.clone(),
                said: document.issuer,
            });
        }
        let is_here = self.is_here();
        for (name, value) in [
            ("authorization_endpoint", &document.authorization_endpoint),
            ("token_endpoint", &document.token_endpoint),
            ("jwks_uri", &document.jwks_uri),
        ] {
            // A provider elsewhere has no business on this machine.
            let good = address(value).filter(|it| is_here || !is_loopback(it));
            if good.is_none() {
                let value = value.clone();
                return Err(SignInError::Endpoint { name, value });
            }
        }
        Ok(Provider {
            sign_in: self.clone(),
            document,
        })
    }

    /// What of the template's parameters is known without asking anybody.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }
}

impl Provider {
    /// The template's parameters; empty ones where nobody has to sign in.
    pub(crate) fn parameters(provider: Option<&Self>) -> [(&'static str, String); 6] {
        let text = |of: fn(&Self) -> &String| provider.map(of).cloned().unwrap_or_default();
        let token_endpoint = text(|it| &it.document.token_endpoint);
        let sources = match origin(&token_endpoint) {
            Some(origin) => format!("'self' {origin}"),
            None => "'self'".to_owned(),
        };
        [
            ("Issuer", text(|it| &it.sign_in.issuer)),
            ("Audience", text(|it| &it.sign_in.client)),
            ("JwksUri", text(|it| &it.document.jwks_uri)),
            (
                "AuthorizationEndpoint",
                text(|it| &it.document.authorization_endpoint),
            ),
            ("TokenEndpoint", token_endpoint),
            ("ConnectSources", sources),
        ]
    }
}

/// An address that can be trusted and written anywhere: into JSON, a policy of the page, a template.
fn address(text: &str) -> Option<Uri> {
    let is_plain = |it: char| it.is_ascii_graphic() && !"\"'\\<>`{}|^;,$".contains(it);
    if !text.chars().all(is_plain) {
        return None;
    }
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let is_safe = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(&uri),
        _ => false,
    };
    (is_safe && !authority.as_str().contains('@')).then_some(uri)
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let ip: Option<IpAddr> = host.parse().ok();
    host == "localhost" || ip.is_some_and(|it| it.is_loopback())
}

fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

async fn get(url: &str) -> Result<Bytes, SignInError> {
    let document = fetch(&Dialer::new(), url, "application/json", BYTES_MAX).await;
    document.map_err(|error| {
        let url = url.to_owned();
        let answer = match error {
            FetchError::Unreachable(source) => return SignInError::Unreachable { url, source },
            FetchError::Http(source) => {
                let source = io::Error::other(source);
                return SignInError::Unreachable { url, source };
            }
            FetchError::Status(status) => status.to_string(),
            FetchError::TooLarge(bytes) => format!("with more than {bytes} bytes"),
        };
        SignInError::Answer { url, answer }
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A provider at a port of this machine, which answers so to every request.
    async fn provider(answer: impl FnOnce(&str) -> String) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let issuer = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let answer = answer(&issuer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                assert!(request.starts_with("GET /.well-known/openid-configuration HTTP/1.1"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        issuer
    }

    fn ok(body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn document(issuer: &str) -> String {
        format!(
            r#"{{"issuer":"{issuer}","authorization_endpoint":"{issuer}/auth","token_endpoint":"{issuer}/token","jwks_uri":"{issuer}/keys"}}"#
        )
    }

    async fn discovered(issuer: &str) -> Result<Provider, SignInError> {
        SignIn::new(issuer, "client").unwrap().discover().await
    }

    #[tokio::test]
    async fn a_provider_says_where_all_else_is() {
        let issuer = provider(|it| ok(&document(it))).await;
        let provider = discovered(&issuer).await.unwrap();
        let parameters = Provider::parameters(Some(&provider));
        assert_eq!(
            parameters.map(|(_, value)| value),
            [
                issuer.clone(),
                "client".to_owned(),
                format!("{issuer}/keys"),
                format!("{issuer}/auth"),
                format!("{issuer}/token"),
                format!("'self' {issuer}"),
            ]
        );
        let none = Provider::parameters(None).map(|(_, value)| value);
        assert_eq!(none, ["", "", "", "", "", "'self'"]);
    }

    #[tokio::test]
    async fn what_is_no_such_provider_is_told_with_a_way_on() {
        let other = provider(|_| ok(&document("https://login.example"))).await;
        let refused = discovered(&other).await.unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("calls itself `https://login.example`")
        );
        assert!(refused.hint().contains("`--issuer https://login.example`"));
        for answer in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 302 -\r\nLocation: https://x.example\r\nContent-Length: 0\r\n\r\n".to_owned(),
            ok("<html>"),
            ok("{}"),
            ok(&" ".repeat(BYTES_MAX + 1)),
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned() + &" ".repeat(20),
        ] {
            let issuer = provider(|_| answer.clone()).await;
            let refused = discovered(&issuer).await.unwrap_err();
            assert!(
                matches!(refused, SignInError::Answer { .. }),
                "{answer} {refused}"
            );
            assert!(refused.to_string().contains(&issuer), "{refused}");
        }
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let issuer = format!("http://127.0.0.1:{}", gone.local_addr().unwrap().port());
        drop(gone);
        let refused = discovered(&issuer).await.unwrap_err();
        assert!(
            matches!(refused, SignInError::Unreachable { .. }),
            "{refused}"
        );
    }

    #[test]
    fn addresses_of_a_provider_are_safe_and_on_this_machine_only_if_it_is() {
        let there = SignIn::new("https://login.example", "c").unwrap();
        let with = |jwks_uri: &str| {
            there.check(Discovered {
                issuer: "https://login.example".to_owned(),
                authorization_endpoint: "https://login.example/a?b=c".to_owned(),
                token_endpoint: "https://tokens.example/t".to_owned(),
                jwks_uri: jwks_uri.to_owned(),
            })
        };
        let good = with("https://keys.example/k").unwrap();
        let sources = &Provider::parameters(Some(&good))[5].1;
        assert_eq!(sources, "'self' https://tokens.example");
        for bad in [
            "http://login.example/k",
            "https://127.0.0.1/k",
            "http://127.0.0.1:1/k",
            "https://localhost/k",
            "ftp://login.example/k",
            "/k",
            "",
            "https://login.example/k\"",
            "https://login.example/k;x",
            "https://login.example/${AWS::Region}",
            "https://ann@login.example/k",
        ] {
            let refused = with(bad).unwrap_err();
            assert!(
                refused.to_string().contains("`jwks_uri`"),
                "{bad}: {refused}"
            );
        }
    }

    #[test]
    fn an_issuer_is_an_address_that_can_be_trusted() {
        for good in [
            "https://login.example",
            "https://login.example/tenant/v2.0",
            "https://login.example/",
            "http://127.0.0.1:3000",
            "http://localhost:3000/realms/chat",
            "http://[::1]:3000",
        ] {
            assert!(SignIn::new(good, "c").is_some(), "{good}");
        }
        for bad in [
            "",
            "login.example",
            "http://login.example",
            "http://127.0.0.1.evil.example",
            "https://login.example?x",
            "https://login.example#x",
            "https://ann:x@login.example",
            "https://login.example/'",
            "https://login example",
        ] {
            assert!(SignIn::new(bad, "c").is_none(), "{bad}");
        }
        assert!(SignIn::new("http://localhost:3000", "c").unwrap().is_here());
        assert!(!SignIn::new("https://login.example", "c").unwrap().is_here());
    }
}
