//! Whether the socket is for who has signed in alone, as far as that can be seen: nobody here has.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite;

use super::check::{Outcome, Verdict, reasons};
use super::fault::Fault;
use super::scene::{Server, dial_offering};

/// Whether nobody comes in who has not signed in.
///
/// # Errors
/// [`Fault`], if somebody does, or nobody says no.
pub(crate) async fn refuses_strangers(server: Server<'_>) -> Result<(), Fault> {
    for (who, offered) in STRANGERS {
        match dial_offering(server, offered).await {
            Ok(_) => return Err(Fault::Broken(format!("`{}` lets in {who}", server.url))),
            Err(Fault::NotOpened { source, .. }) if is_refusal(&source) => {}
            Err(Fault::NotOpened { url, source })
                if offered == Some(OF_NO_KEY) && status(&source) == Some(500) =>
            {
                return Err(Fault::NoKeys { url });
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// The same as a check of its own, on all of these ways.
pub(crate) async fn try_strangers(server: Server<'_>, ways: &[&str], limit: Duration) -> Outcome {
    let since = Instant::now();
    let looked = async {
        for url in ways {
            refuses_strangers(Server { url, ..server }).await?;
        }
        Ok(())
    };
    let silence = Fault::Silence {
        who: "a stranger",
        expected: "refusal".to_owned(),
        limit,
    };
    let looked = timeout(limit, looked).await;
    Outcome {
        name: "sign-in",
        promise: "who has not signed in is refused",
        verdict: match looked.unwrap_or(Err(silence)) {
            Ok(()) => Verdict::Held,
            Err(fault) => {
                let hint = fault.hint().map(|it| format!("hint: {it}"));
                let reasons = reasons(&fault).into_iter().chain(hint);
                Verdict::Failed {
                    reasons: reasons.collect(),
                    transcript: None,
                }
            }
        },
        took: since.elapsed(),
    }
}

/// A token that is refused for nothing but its key, `nobody`: only who has the provider's keys can tell.
const OF_NO_KEY: &str =
    "chatctl, bearer.eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vYm9keSJ9.eyJzdWIiOiJzdHJhbmdlciJ9.AAAA";

/// Who has not signed in, and what they offer: a token that says that nobody has signed it is the oldest trick.
const STRANGERS: [(&str, Option<&str>); 4] = [
    ("who has no token", None),
    ("who has no token, but the protocol", Some("chatctl")),
    (
        "whose token nobody has signed",
        Some("chatctl, bearer.eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdHJhbmdlciJ9."),
    ),
    ("whose token is of a key that nobody has", Some(OF_NO_KEY)),
];

fn is_refusal(error: &tungstenite::Error) -> bool {
    matches!(status(error), Some(401 | 403))
}

fn status(error: &tungstenite::Error) -> Option<u16> {
    match error {
        tungstenite::Error::Http(response) => Some(response.status().as_u16()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::dial::Dialer;

    /// What is said of somebody who refuses strangers with these statuses, one after another.
    async fn said_of(statuses: &'static [u16]) -> Result<(), Fault> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let served = tokio::spawn(async move {
            let mut requests = Vec::new();
            for status in statuses {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.expect("a request"));
                }
                let head = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await.expect("it reads");
                requests.push(String::from_utf8(request).expect("text"));
            }
            requests
        });
        let url = &format!("ws://127.0.0.1:{port}/dev");
        let (dialer, origin) = (&Dialer::new(), None);
        let looked = refuses_strangers(Server {
            dialer,
            url,
            origin,
        })
        .await;
        if looked.is_ok() {
            let requests = served.await.expect("no panic");
            assert_eq!(requests.len(), STRANGERS.len());
            assert!(requests.last().expect("the last").contains(OF_NO_KEY));
        }
        looked
    }

    #[tokio::test]
    async fn strangers_are_refused_by_who_has_the_providers_keys() {
        let looked = said_of(&[401, 403, 403, 403]).await;
        assert!(looked.is_ok(), "{looked:?}");
    }

    #[tokio::test]
    async fn who_cannot_tell_a_key_that_is_not_there_has_no_keys() {
        let fault = said_of(&[401, 403, 403, 500]).await.expect_err("no keys");
        assert!(matches!(fault, Fault::NoKeys { .. }), "{fault}");
        let said = fault.to_string();
        assert!(said.contains("the provider's keys"), "{said}");
        assert!(fault.hint().is_some_and(|it| it.contains("`jwks_uri`")));
    }

    #[tokio::test]
    async fn whatever_else_fails_is_not_taken_for_missing_keys() {
        for statuses in [&[500][..], &[401, 403, 500], &[401, 403, 403, 502]] {
            let fault = said_of(statuses).await.expect_err("no refusal");
            assert!(matches!(fault, Fault::NotOpened { .. }), "{fault}");
            assert_eq!(fault.hint(), None);
        }
    }

    #[tokio::test]
    async fn the_token_is_refused_for_its_key_alone() {
        use base64::Engine;
        let token = OF_NO_KEY.strip_prefix("chatctl, bearer.").expect("a token");
        let parts: Vec<_> = token.split('.').collect();
        let decoded = |part: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
        let header: serde_json::Value =
            serde_json::from_slice(&decoded(parts[0]).expect("base64")).expect("JSON");
        assert_eq!(header, serde_json::json!({"alg": "RS256", "kid": "nobody"}));
        assert!(parts[1..].iter().all(|it| decoded(it).is_ok()));
        assert_eq!(parts.len(), 3);
    }
}
