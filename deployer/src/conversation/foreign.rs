//! Whether the socket is for the chat's own pages alone, as far as that can be seen: a page of nobody's is sent away.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite;

use super::check::{Outcome, Verdict, reasons};
use super::fault::Fault;
use super::scene::{Scene, Server};

/// No page is there: the name is reserved for that.
const FOREIGN: &str = "https://foreign.invalid";

/// Whether no page is let in that is not of the list, on any of these ways.
///
/// # Errors
/// [`Fault`], if one is, or nobody says no.
pub(crate) async fn refuses_foreign_pages(
    server: Server<'_>,
    ways: &[&str],
    limit: Duration,
) -> Result<(), Fault> {
    for url in ways {
        let origin = Some(FOREIGN);
        let foreign = Server {
            url,
            origin,
            ..server
        };
        let scene = Scene::new(foreign, Instant::now(), limit);
        let opened = scene.open("a foreign page").await.map(drop);
        scene.end().await;
        match opened {
            Ok(()) => {
                let what = format!("`{url}` lets in a page of `{FOREIGN}`");
                return Err(Fault::Broken(what));
            }
            Err(Fault::NotOpened { source, .. }) if is_forbidden(&source) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// The same as a check of its own.
pub(crate) async fn try_foreign_pages(
    server: Server<'_>,
    ways: &[&str],
    limit: Duration,
) -> Outcome {
    let since = Instant::now();
    let refused = refuses_foreign_pages(server, ways, limit).await;
    Outcome {
        name: "origins",
        promise: "the socket of a foreign page is refused",
        verdict: match refused {
            Ok(()) => Verdict::Held,
            Err(fault) => Verdict::Failed {
                reasons: reasons(&fault),
                transcript: None,
            },
        },
        took: since.elapsed(),
    }
}

fn is_forbidden(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Http(response) if response.status().as_u16() == 403)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::dial::Dialer;

    const LIMIT: Duration = Duration::from_secs(10);

    /// One that answers every handshake with a status, and gives what it was asked in the end.
    async fn answering(status: u16, times: usize) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let mut asked = Vec::new();
            for _ in 0..times {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                asked.push(String::from_utf8(request).unwrap().to_lowercase());
                let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (format!("ws://127.0.0.1:{port}/dev"), serving)
    }

    fn server<'a>(dialer: &'a Dialer, url: &'a str) -> Server<'a> {
        Server {
            dialer,
            url,
            origin: Some("https://own.example"),
        }
    }

    #[tokio::test]
    async fn both_ways_are_asked_as_a_foreign_page_and_no_more_is_wanted_than_403() {
        let (url, serving) = answering(403, 2).await;
        let dialer = Dialer::new();
        let ways = [url.as_str(), &url];
        let refused = refuses_foreign_pages(server(&dialer, &url), &ways, LIMIT).await;
        assert!(refused.is_ok(), "{refused:?}");
        for request in serving.await.unwrap() {
            assert!(
                request.contains("\r\norigin: https://foreign.invalid\r\n"),
                "{request}"
            );
            assert!(!request.contains("own.example"), "{request}");
        }
    }

    #[tokio::test]
    async fn any_other_answer_is_no_refusal() {
        for status in [200, 401, 500, 503] {
            let (url, _serving) = answering(status, 1).await;
            let outcome = try_foreign_pages(server(&Dialer::new(), &url), &[&url], LIMIT).await;
            let Verdict::Failed { reasons, .. } = outcome.verdict else {
                panic!("{status} is no refusal")
            };
            assert_eq!(reasons[0], format!("`{url}` opens no socket"));
            assert!(reasons[1].contains(&status.to_string()), "{reasons:?}");
        }
    }

    #[tokio::test]
    async fn who_is_let_in_on_the_second_way_is_told_with_it() {
        let (good, _serving) = answering(403, 1).await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let open = format!(
            "ws://127.0.0.1:{}/dev",
            listener.local_addr().unwrap().port()
        );
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            // It hears them out: nothing but what they do ends it.
            let _ = futures_util::StreamExt::count(socket).await;
        });
        let dialer = Dialer::new();
        let ways = [good.as_str(), &open];
        let fault = refuses_foreign_pages(server(&dialer, &good), &ways, LIMIT).await;
        assert_eq!(
            fault.unwrap_err().to_string(),
            format!("`{open}` lets in a page of `https://foreign.invalid`")
        );
    }
}
