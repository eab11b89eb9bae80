//! Whose pages' sockets are let in: the chat's own and those that were named, on this machine and behind
//! CloudFront.

use e2e::altered::Altered;
use e2e::chatctl::{self, Dev};
use e2e::client::Client;
use e2e::ministack::Ministack;
use e2e::stack;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// A handshake of a page of these origins; a browser says one.
fn handshake(websocket: &str, origins: &[&str]) -> Request {
    let mut request = websocket.into_client_request().expect("a URL");
    for origin in origins {
        let origin = HeaderValue::from_str(origin).expect("a header");
        request.headers_mut().append("Origin", origin);
    }
    request
}

/// The status that a handshake gets; 101, if the socket is open.
async fn status(websocket: &str, origins: &[&str]) -> u16 {
    match Client::try_connect(handshake(websocket, origins)).await {
        Ok(_) => 101,
        Err(error) => match *error {
            Error::Http(response) => response.status().as_u16(),
            other => panic!("an answer of HTTP, not {other}"),
        },
    }
}

/// What is not the page at `site`, however it is written.
fn others(site: &str) -> Vec<String> {
    let authority = site.split_once("://").expect("a URL").1;
    let host = authority.split(':').next().expect("a host");
    vec![
        "null".to_owned(),
        "https://evil.example".to_owned(),
        format!("{site}.evil.example"),
        format!("https://evil.example/{site}"),
        format!("https://evil{host}"),
        format!("https://{host}:1"),
        format!("ftp://{authority}"),
        site.to_uppercase(),
        format!("{site}/"),
        format!("{site}, {site}"),
    ]
}

#[tokio::test]
async fn only_the_chats_own_page_is_let_in_and_nothing_is_stored_of_others() {
    let stack = stack::start(|it| {
        let site = ("AllowedOrigins".to_owned(), "site".to_owned());
        it.parameters.extend([site]);
    })
    .await;
    let (websocket, page) = (stack.websocket_url(), stack.site_url());
    let page = page.trim_end_matches('/');
    for other in others(page) {
        assert_eq!(status(&websocket, &[&other]).await, 403, "{other}");
    }
    let (_, port) = page.rsplit_once(':').expect("a port");
    for other in [
        "http://127.0.0.1".to_owned(),
        "http://127.0.0.1:1".to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
    ] {
        assert_eq!(status(&websocket, &[&other]).await, 403, "{other}");
    }
    assert_eq!(status(&websocket, &[]).await, 403, "no browser's");
    assert_eq!(
        status(&websocket, &[page, "https://evil.example"]).await,
        403
    );
    assert_eq!(
        status(&websocket, &["https://evil.example", page]).await,
        403
    );
    assert_eq!(stack::items(&stack), Vec::<serde_json::Value>::new());

    let mut ann = Client::try_connect(handshake(&websocket, &[page]))
        .await
        .expect("let in");
    let joined = ann.ask(json!({"type": "create", "name": "ann"})).await;
    assert_eq!(joined["type"], "joined");
    stack.stop().await;
}

#[tokio::test]
async fn dev_lets_in_its_page_and_those_that_are_named_and_by_itself_everybody() {
    // That it starts at all shows that its own look at the chat says where it is from.
    let dev = Dev::start(&["--allowed-origins", "https://WWW.example:443"]).await;
    let page = dev.site.trim_end_matches('/');
    for (origin, expected) in [
        (page, 101),
        ("https://www.example", 101),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        assert_eq!(
            status(&dev.websocket, &[origin]).await,
            expected,
            "{origin}"
        );
    }
    let verify = ["verify", "--timeout", "3m", "--url", &dev.websocket];
    let stranger = chatctl::run(&verify).await;
    assert_eq!(stranger.status.code(), Some(1), "it says no origin");
    let visitor = chatctl::run(&[&verify[..], &["--site", &dev.site]].concat()).await;
    let said = String::from_utf8_lossy(&visitor.stdout);
    assert_eq!(visitor.status.code(), Some(0), "{said}");
    dev.end("TERM").await;

    let dev = Dev::start(&[]).await;
    for origins in [&[][..], &["null"], &["https://evil.example"]] {
        assert_eq!(status(&dev.websocket, origins).await, 101, "{origins:?}");
    }
    dev.end("TERM").await;
}

#[tokio::test]
async fn what_is_no_origin_is_refused_before_anything_is_built() {
    for command in ["dev", "deploy", "diff", "synth"] {
        let refused = chatctl::run(&[command, "--allowed-origins", "https://a.example/chat"]).await;
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("`https://a.example/chat` is not the origin"),
            "{said}"
        );
        assert!(said.contains("hint: set `--allowed-origins`"), "{said}");
    }
}

#[tokio::test]
async fn behind_cloudfront_only_the_distributions_page_is_let_in_until_that_is_said_otherwise() {
    let ministack = Ministack::start().await;
    let bootstrap = chatctl::packaged_bootstrap();
    let bootstrap = bootstrap.to_str().expect("a path of characters");
    let deploy = ["deploy", "--json", "--bootstrap", bootstrap];
    let site_alone = [&deploy[..], &["--allowed-origins", "site"]].concat();
    let deployed = chatctl::result_on(&ministack, &site_alone).await;
    let page = deployed["site"]
        .as_str()
        .expect("a URL")
        .trim_end_matches('/');
    for address in ["websocket", "direct"] {
        let websocket = deployed[address].as_str().expect("a URL");
        for other in others(page) {
            let refused = ministack.try_socket(handshake(websocket, &[&other])).await;
            let refused = refused.expect_err("a foreign page").to_string();
            assert!(refused.contains("403"), "{other}: {refused}");
        }
        let refused = ministack.try_socket(handshake(websocket, &[])).await;
        refused.expect_err("no browser's");
        let opened = ministack.try_socket(handshake(websocket, &[page])).await;
        opened.expect("the page's own");
    }
    let verified = chatctl::result_on(&ministack, &["verify", "--json", "--timeout", "3m"]).await;
    assert_eq!(verified["failed"], json!([]), "{verified}");
    let held = verified["held"].as_array().expect("a list");
    assert!(held.contains(&json!("origins")), "{verified}");

    // Nobody loses a protection by leaving out a flag.
    let again = chatctl::run_on(&ministack, &deploy).await;
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(said.contains("kept: allowed origins: `site`"), "{said}");
    assert!(said.contains(r#""changed":false"#), "{said}");
    let diff = ["diff", "--json", "--bootstrap", bootstrap];
    let diff = chatctl::run_on(&ministack, &diff).await;
    let said = String::from_utf8_lossy(&diff.stdout);
    assert_eq!(diff.status.code(), Some(0), "{said}");
    assert!(said.contains(r#""changes":[]"#), "{said}");
    let status = chatctl::result_on(&ministack, &["status", "--json"]).await;
    assert_eq!(status["settings_as_here"], true, "{status}");
    let evil = ["https://evil.example"];
    let websocket = deployed["websocket"].as_str().expect("a URL");
    let refused = ministack.try_socket(handshake(websocket, &evil)).await;
    refused.expect_err("a foreign page, still");

    let any = [&deploy[..], &["--allowed-origins", "any"]].concat();
    let open = chatctl::result_on(&ministack, &any).await;
    assert_eq!(open["changed"], true);
    let opened = ministack.try_socket(handshake(websocket, &evil)).await;
    opened.expect("any page");
}

#[tokio::test]
async fn going_back_to_code_that_lets_in_foreign_pages_again_is_found() {
    let ministack = Ministack::start().await;
    let packaged = chatctl::packaged_bootstrap().display().to_string();
    // As code of before there was a choice: it knows nothing of the variable and lets all in.
    let old = Altered::without("ALLOWED_ORIGINS");
    let deploy = ["deploy", "--json", "--bootstrap", &old.path()];
    chatctl::result_on(&ministack, &deploy).await;
    let site = ["--allowed-origins", "site"];
    let deploy = ["deploy", "--json", "--bootstrap", &packaged];
    chatctl::result_on(&ministack, &[&deploy[..], &site].concat()).await;

    // Ample for a look that finds it, on any machine.
    let back = ["rollback", "--verify-timeout", "20s"];
    let went = chatctl::run_on(&ministack, &back).await;
    let said = String::from_utf8_lossy(&went.stderr);
    assert_eq!(went.status.code(), Some(1), "{said}");
    let expected = "lets in a page of `https://foreign.invalid`";
    assert!(said.contains(expected), "{said}");
    let verified = chatctl::run_on(&ministack, &["verify", "--json", "--timeout", "3m"]).await;
    let said = String::from_utf8_lossy(&verified.stdout);
    let result = said.lines().last().expect("a result");
    let result: serde_json::Value = serde_json::from_str(result).expect("JSON");
    assert_eq!(result["failed"], json!(["origins"]), "{said}");
}
