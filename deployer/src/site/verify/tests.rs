//! Against a page and a chat of the tests' own, which note what is asked of them.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;

use super::*;

/// What one try says.
async fn fault(site: &str, websocket: &str) -> Fault {
    let chat = Chat::at(site, websocket);
    let (dialer, now) = (Dialer::new(), Cell::new(""));
    let tried = look(&dialer, chat, Extent::Whole, &now);
    let tried = tokio::time::timeout(TRY_LIMIT, tried).await;
    tried.unwrap().unwrap_err()
}

/// What was asked, in order.
type Asked = Arc<Mutex<Vec<String>>>;

fn noted(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().clone()
}

fn note(asked: &Asked, what: impl Into<String>) {
    asked.lock().unwrap().push(what.into());
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A page whose configuration names a socket. Gives its URL.
async fn page(websocket: &str, asked: &Asked) -> String {
    let (listener, port) = listen().await;
    let (body, asked) = (config("http://page", websocket), Arc::clone(asked));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            note(&asked, request.lines().next().unwrap());
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://127.0.0.1:{port}/")
}

/// A chat of one room. Gives its URL.
async fn chat(answer: fn(&str) -> &'static str, asked: &Asked) -> String {
    let (listener, port) = listen().await;
    let (said, _) = broadcast::channel(8);
    let asked = Arc::clone(asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer, said.clone(), Arc::clone(&asked)));
        }
    });
    format!("ws://127.0.0.1:{port}/dev")
}

async fn serve(
    stream: TcpStream,
    answer: fn(&str) -> &'static str,
    said: broadcast::Sender<String>,
    asked: Asked,
) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let mut heard = said.subscribe();
    loop {
        let frame = tokio::select! {
            Ok(text) = heard.recv() => {
                socket.send(Message::text(text)).await.unwrap();
                continue;
            }
            frame = socket.next() => frame,
        };
        match frame {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                let kind = frame["type"].as_str().unwrap();
                note(&asked, kind);
                if kind == "message" {
                    said.send(text.to_string()).unwrap();
                } else {
                    let answer = json!({"type": answer(kind), "room": "7K3M9-QX2TB"});
                    socket
                        .send(Message::text(answer.to_string()))
                        .await
                        .unwrap();
                }
            }
            Some(Ok(Message::Close(_))) => note(&asked, "close"),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

fn as_it_should(kind: &str) -> &'static str {
    match kind {
        "create" | "join" => "joined",
        "leave" => "left",
        other => panic!("`{other}` is not needed"),
    }
}

#[tokio::test]
async fn a_message_goes_both_ways_and_the_room_is_left_again() {
    let asked = Asked::default();
    let websocket = &chat(as_it_should, &asked).await;
    let site = &page(websocket, &asked).await;
    let took = until_it_works(Chat::at(site, websocket), Extent::Whole, TRY_LIMIT).await;
    assert!(took.unwrap().is_some());
    let expected = [
        "GET / HTTP/1.1",
        "GET /config.json HTTP/1.1",
        "create",
        "join",
        "message",
        "message",
        "leave",
        "close",
        "leave",
        "close",
    ];
    assert_eq!(noted(&asked), expected);
}

#[tokio::test]
async fn both_addresses_of_a_socket_have_to_lead_to_the_same_chat() {
    let asked = Asked::default();
    let websocket = &chat(as_it_should, &asked).await;
    let site = &page(websocket, &asked).await;
    let other_path = &format!("{websocket}/direct");
    let one = Chat {
        direct: other_path,
        ..Chat::at(site, websocket)
    };
    let took = until_it_works(one, Extent::Whole, TRY_LIMIT).await;
    assert!(took.unwrap().is_some());

    // Somebody else's chat has no such room; here it hears nothing that is said in the other one.
    let other = &chat(as_it_should, &Asked::default()).await;
    let two = Chat {
        direct: other,
        ..Chat::at(site, websocket)
    };
    // Ample for what answers, on any machine.
    let limit = Duration::from_secs(5);
    let last = until_it_works(two, Extent::Whole, limit).await.unwrap_err();
    assert_eq!(last.to_string(), "the chat did not answer within 5s");
}

#[tokio::test]
async fn an_address_that_opens_no_socket_is_named() {
    let asked = Asked::default();
    let websocket = &chat(as_it_should, &asked).await;
    let site = &page(websocket, &asked).await;
    // A page answers there, as CloudFront does for a path that leads to no API.
    let direct = &site.replace("http://", "ws://");
    let chat = Chat {
        direct,
        ..Chat::at(site, websocket)
    };
    let (dialer, now) = (Dialer::new(), Cell::new(""));
    let fault = look(&dialer, chat, Extent::Whole, &now).await.unwrap_err();
    assert_eq!(fault.to_string(), format!("`{direct}` opens no socket"));
}

#[tokio::test]
async fn a_chat_with_a_list_of_pages_is_looked_at_as_a_foreign_page_before_anything_is_said() {
    let asked = Asked::default();
    let websocket = &chat(as_it_should, &asked).await;
    let site = &page(websocket, &asked).await;
    let listed = Chat {
        pages: Pages::Listed,
        ..Chat::at(site, websocket)
    };
    let (dialer, now) = (Dialer::new(), Cell::new(""));
    let fault = look(&dialer, listed, Extent::Whole, &now).await;
    assert_eq!(
        fault.unwrap_err().to_string(),
        format!("`{websocket}` lets in a page of `https://foreign.invalid`")
    );
    assert!(!noted(&asked).contains(&"create".to_owned()));
}

#[test]
fn what_is_told_to_be_looked_at_is_what_is_looked_at() {
    let open = Chat::at("http://page/", "ws://chat/dev");
    let signed = Chat {
        sign_in: SignIn::Everybody("{}"),
        ..open
    };
    assert!(what(open, Extent::Whole).ends_with("two sockets and a message both ways"));
    let told = what(signed, Extent::Whole);
    assert!(told.ends_with("that strangers stay out, and the function that answers"));
    for extent in [Extent::Page, Extent::Configuration] {
        assert_eq!(what(open, extent), what(signed, extent));
    }
}

#[tokio::test]
async fn no_more_is_looked_at_than_was_asked_for() {
    for (extent, expected) in [
        (Extent::Configuration, &["GET /config.json HTTP/1.1"][..]),
        (
            Extent::Page,
            &["GET / HTTP/1.1", "GET /config.json HTTP/1.1"],
        ),
    ] {
        let asked = Asked::default();
        let websocket = "ws://127.0.0.1:1/dev";
        let site = &page(websocket, &asked).await;
        let took = until_it_works(Chat::at(site, websocket), extent, TRY_LIMIT).await;
        assert_eq!(took.unwrap(), None);
        assert_eq!(noted(&asked), expected);
    }
}

#[tokio::test]
async fn another_chats_configuration_is_told() {
    let site = &page("ws://127.0.0.1:2/dev", &Asked::default()).await;
    let websocket = "ws://127.0.0.1:1/dev";
    assert_eq!(
        fault(site, websocket).await.to_string(),
        format!("`{site}config.json` answers with another chat's configuration")
    );
}

#[tokio::test]
async fn a_chat_that_refuses_is_told_in_its_own_words() {
    let asked = Asked::default();
    let websocket = &chat(|_| "error", &asked).await;
    let site = &page(websocket, &asked).await;
    let said = fault(site, websocket).await.to_string();
    assert!(
        said.starts_with(r#"the chat answers {"type":"error""#),
        "{said}"
    );
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_told_with_its_address() {
    let (listener, port) = listen().await;
    drop(listener);
    let websocket = &format!("ws://127.0.0.1:{port}/dev");
    let site = &page(websocket, &Asked::default()).await;
    let fault = fault(site, websocket).await;
    assert_eq!(
        fault.to_string(),
        format!("`{websocket}` cannot be reached")
    );
    let why = std::error::Error::source(&fault).unwrap().to_string();
    assert!(why.starts_with(&format!("127.0.0.1:{port}: ")), "{why}");
}

#[tokio::test]
async fn who_says_nothing_is_named() {
    let (listener, port) = listen().await;
    let site = &format!("http://127.0.0.1:{port}/");
    let websocket = "ws://127.0.0.1:1/dev";
    let limit = Duration::from_millis(20);
    let looked = until_it_works(Chat::at(site, websocket), Extent::Page, limit).await;
    drop(listener);
    assert_eq!(
        looked.unwrap_err().to_string(),
        "the page did not answer within 20ms"
    );
}
