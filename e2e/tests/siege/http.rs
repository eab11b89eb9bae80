//! Requests that are slow, malformed, or not meant for this machine.

use std::time::{Duration, Instant};

use e2e::chatctl::{Dev, children_of};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::beside::{Conversation, TALKATIVE};
use crate::frames::resident_kb;
use crate::raw::{authority, exchange, handshake, status, status_of, tcp};

/// A little longer than the gateway waits for a head or a body.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the functions' processes find the Runtime API and the database: what else there is that listens.
fn endpoints(dev: &Dev) -> (String, String) {
    let environment = |pid: u32, name: &str| {
        let all = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let all = String::from_utf8_lossy(&all).into_owned();
        let value = all.split('\0').find_map(|it| it.strip_prefix(name))?;
        Some(value.to_owned())
    };
    let children = children_of(dev.pid());
    let found = children.into_iter().find_map(|pid| {
        let runtime = environment(pid, "AWS_LAMBDA_RUNTIME_API=")?;
        let database = environment(pid, "AWS_ENDPOINT_URL_DYNAMODB=http://")?;
        Some((runtime, database))
    });
    found.expect("a process of a function")
}

/// Opens many sockets, begins a request on each, and sends a byte of it now and then.
async fn trickle(authority: &str, begin: &str, sockets: usize, until: Instant) {
    let mut streams: Vec<TcpStream> = Vec::new();
    for _ in 0..sockets {
        let mut stream = tcp(authority).await;
        stream.write_all(begin.as_bytes()).await.expect("sent");
        streams.push(stream);
    }
    while Instant::now() < until {
        for stream in &mut streams {
            // It fails once the other side has given up, which is its right.
            let _ = stream.write_all(b"x").await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn requests_that_trickle_into_every_port_leave_a_conversation_undisturbed() {
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    let port = authority(&dev.websocket);
    let (runtime, database) = endpoints(&dev);
    let unfinished = |path: &str, host: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n")
    };
    let until = Instant::now() + PATIENCE;
    let get = format!("GET / HTTP/1.1\r\nHost: {port}\r\nX-Slow: ");
    let shake = handshake(port, "X-Slow: ");
    let shake = shake.trim_end();
    let page = unfinished("/", port);
    let posted = unfinished("/dev/@connections/x", port);
    let stored = unfinished("/", &database);
    let answered = unfinished("/2018-06-01/runtime/invocation/x/response", &runtime);
    tokio::join!(
        trickle(port, &get, 200, until),
        trickle(port, shake, 200, until),
        trickle(port, &page, 200, until),
        trickle(port, &posted, 200, until),
        trickle(&database, "POST / HTTP/1.1\r\nX-Slow: ", 200, until),
        trickle(&database, &stored, 200, until),
        trickle(&runtime, "GET / HTTP/1.1\r\nX-Slow: ", 200, until),
        trickle(&runtime, &answered, 200, until),
    );
    conversation.end("1,600 sockets that trickle").await;
    // None is kept that was given up.
    let answer = exchange(port, posted.as_bytes(), PATIENCE).await;
    assert_eq!(status_of(&answer), 408, "{answer}");
    let answer = exchange(&database, stored.as_bytes(), PATIENCE).await;
    assert_eq!(status_of(&answer), 408, "{answer}");
    dev.end("TERM").await;
}

#[tokio::test]
async fn answers_that_nobody_takes_leave_a_conversation_undisturbed() {
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    let before = resident_kb(dev.pid());
    let port = authority(&dev.websocket);
    let get = format!("GET /style.css HTTP/1.1\r\nHost: {port}\r\n\r\n");
    let many = get.repeat(1000);
    let mut greedy = Vec::new();
    for _ in 0..200 {
        let mut stream = tcp(port).await;
        // As much as is taken: nothing is read meanwhile, so at some point that is no more.
        let write = stream.write_all(many.as_bytes());
        let _ = tokio::time::timeout(Duration::from_millis(50), write).await;
        greedy.push(stream);
    }
    // They stay for a while.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let figures = conversation.end("200 who ask and never read").await;
    assert!(figures.messages > 5, "{figures:?}");
    let grown = resident_kb(dev.pid()).saturating_sub(before);
    assert!(grown < 200_000, "{grown} kB more");
    drop(greedy);
    dev.end("TERM").await;
}

#[tokio::test]
async fn no_other_name_gets_at_the_page_or_the_socket() {
    let dev = Dev::start(&TALKATIVE).await;
    let port = authority(&dev.websocket);
    let number = port.rsplit_once(':').expect("a port").1;
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
    ] {
        let rebound = format!("{host}:{number}");
        let lines = ["GET / HTTP/1.1", &format!("Host: {rebound}")];
        assert_eq!(status(port, &lines).await, 421, "{host}");
        let config = ["GET /config.json HTTP/1.1", &format!("Host: {rebound}")];
        assert_eq!(status(port, &config).await, 421, "{host}");
        let shake = exchange(port, handshake(&rebound, "").as_bytes(), PATIENCE).await;
        assert_eq!(status_of(&shake), 421, "{shake}");
    }
    let absolute = [
        "GET http://evil.example/ HTTP/1.1",
        &format!("Host: {port}"),
    ];
    assert_eq!(status(port, &absolute).await, 421);
    assert_eq!(status(port, &["GET / HTTP/1.1"]).await, 400, "no host");
    for host in [
        port.to_owned(),
        format!("localhost:{number}"),
        "127.0.0.1".to_owned(),
    ] {
        let lines = ["GET / HTTP/1.1", &format!("Host: {host}")];
        assert_eq!(status(port, &lines).await, 200, "{host}");
    }
    dev.end("TERM").await;
}

/// A web page anywhere can have a browser send all of these; without a preflight that is granted, or
/// with its own name led here, it must get nothing and do nothing.
#[tokio::test]
async fn no_page_gets_at_connections_the_database_or_the_functions() {
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    let port = authority(&dev.websocket).to_owned();
    let (runtime, database) = endpoints(&dev);
    let next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1";
    let failed = "POST /2018-06-01/runtime/init/error HTTP/1.1";
    let invoke = "POST /2015-03-31/functions/x/invocations HTTP/1.1";
    let targets = [
        (&port, "POST /dev/@connections/x HTTP/1.1"),
        (&port, "GET /dev/@connections/x HTTP/1.1"),
        (&port, "DELETE /dev/@connections/x HTTP/1.1"),
        (&port, "OPTIONS /dev/@connections/x HTTP/1.1"),
        (&database, "POST / HTTP/1.1"),
        (&database, "GET / HTTP/1.1"),
        (&database, "OPTIONS / HTTP/1.1"),
        (&runtime, next),
        (&runtime, failed),
        (&runtime, invoke),
        (&runtime, "OPTIONS / HTTP/1.1"),
    ];
    for (at, request) in targets {
        let host = format!("Host: {at}");
        for origin in [
            "http://evil.example",
            "null",
            dev.site.trim_end_matches('/'),
        ] {
            let origin = format!("Origin: {origin}");
            let lines = [request, &host, &origin, "Content-Length: 0"];
            let answer = exchange(at, (lines.join("\r\n") + "\r\n\r\n").as_bytes(), SOON).await;
            assert_eq!(status_of(&answer), 403, "{request} {origin}");
            let answer = answer.to_lowercase();
            assert!(!answer.contains("access-control-"), "{request}: {answer}");
        }
        let site = "Sec-Fetch-Site: cross-site";
        assert_eq!(status(at, &[request, &host, site]).await, 403, "{request}");
        let host = "Host: evil.example";
        assert_eq!(status(at, &[request, host]).await, 421, "{request}");
    }
    // Nor does any answer let a page read the site that it is not of.
    let page = format!("GET / HTTP/1.1\r\nHost: {port}\r\nOrigin: http://evil.example\r\n\r\n");
    let answer = exchange(&port, page.as_bytes(), SOON).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200 "), "{answer}");
    assert!(!answer.contains("access-control-"), "{answer}");
    conversation
        .end("pages that ask for what is for programs")
        .await;
    dev.end("TERM").await;
}

/// How long a second answer on a connection is waited for.
const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_request_has_one_end_whatever_it_says_of_its_length() {
    let dev = Dev::start(&TALKATIVE).await;
    let port = authority(&dev.websocket);
    let inner = format!("GET /smuggled HTTP/1.1\r\nHost: {port}\r\n\r\n");
    let length = inner.len();
    for (lines, body, answers) in [
        // Chunked goes before a length (RFC 9112, section 6.3), and then the connection ends.
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            format!("0\r\n\r\n{inner}"),
            1,
        ),
        (
            "Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(),
            inner.clone(),
            1,
        ),
        (format!("Content-Length: 0, {length}\r\n"), inner.clone(), 1),
        ("Content-Length: +0\r\n".to_owned(), inner.clone(), 1),
        ("Content-Length: -1\r\n".to_owned(), inner.clone(), 1),
        (
            "Transfer-Encoding: identity\r\n".to_owned(),
            inner.clone(),
            1,
        ),
        (
            "Transfer-Encoding: chunked, identity\r\n".to_owned(),
            inner.clone(),
            1,
        ),
        (
            "Transfer-Encoding : chunked\r\n".to_owned(),
            format!("0\r\n\r\n{inner}"),
            1,
        ),
        (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("-1\r\n{inner}"),
            1,
        ),
        (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("fffffffffffffffff\r\n{inner}"),
            1,
        ),
        (format!("Content-Length: {length}\r\n"), inner.clone(), 1),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: {port}\r\n{lines}\r\n{body}");
        let answer = exchange(port, request.as_bytes(), SOON).await;
        let count = answer.matches("HTTP/1.1 ").count();
        assert!(count <= answers, "{lines:?} {count} answers: {answer}");
    }
    dev.end("TERM").await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused_and_disturb_nobody() {
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    let port = authority(&dev.websocket);
    let host = format!("Host: {port}\r\n");
    for request in [
        format!(
            "GET / HTTP/1.1\r\n{host}X-Long: {}\r\n\r\n",
            "x".repeat(10_000_000)
        ),
        format!(
            "GET / HTTP/1.1\r\n{host}{}\r\n",
            "X-Many: x\r\n".repeat(100_000)
        ),
        format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(1_000_000)),
        format!("{} / HTTP/1.1\r\n{host}\r\n", "X".repeat(1_000_000)),
    ] {
        let answer = exchange(port, request.as_bytes(), PATIENCE).await;
        // The rest of it is unread, so the end may be a reset, and take the answer with it.
        let is_refused = answer.is_empty() || [400, 414, 431].contains(&status_of(&answer));
        assert!(is_refused, "{answer}");
    }
    conversation.end("heads of 10 MB").await;
    dev.end("TERM").await;
}

#[tokio::test]
async fn paths_lead_to_the_pages_own_files_and_nowhere_else() {
    let dev = Dev::start(&TALKATIVE).await;
    let port = authority(&dev.websocket);
    let host = format!("Host: {port}");
    let long = "/".to_owned() + &"a".repeat(8000);
    let deep = "/a".repeat(4000);
    for path in [
        "/../Cargo.toml",
        "/../../etc/passwd",
        "/%2e%2e/Cargo.toml",
        "/%2E%2E%2FCargo.toml",
        "/..%2fCargo.toml",
        "/..%5cCargo.toml",
        "/..\\Cargo.toml",
        "/%252e%252e/Cargo.toml",
        "/....//Cargo.toml",
        "/./index.html",
        "/a/../index.html",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/etc/passwd",
        "/index.html%00",
        "/index.html%00.js",
        "/%00",
        "/index.html/",
        "/.git/config",
        "/.env",
        "/%2eenv",
        "/index.html%0d%0aX-Evil:%20x",
        "/%ff%fe",
        "/%",
        "/%zz",
        &long,
        &deep,
    ] {
        let line = format!("GET {path} HTTP/1.1");
        let status = status(port, &[&line, &host]).await;
        assert!([400, 403].contains(&status), "{path}: {status}");
    }
    let odd = ["GET /index.html?../../etc/passwd HTTP/1.1", &host];
    assert_eq!(status(port, &odd).await, 200, "a query is no path");
    dev.end("TERM").await;
}
