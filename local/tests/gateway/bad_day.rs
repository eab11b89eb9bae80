//! Each fault of `@connections` and of clients, alone: it strikes where it would in the cloud, about
//! as often as was asked for, and the same ones strike again with the same seed. That the rates are
//! exact is tested where they are drawn; here the tolerance is five standard deviations.

use std::time::{Duration, Instant};

use local::Faults;
use tokio_tungstenite::tungstenite::Message;

use super::support::{App, Client, DEADLINE, Setup, soon};

async fn app(faults: &str) -> App {
    let faults: Faults = faults.parse().expect("faults");
    let setup = Setup {
        faults,
        ..Setup::default()
    };
    setup.start().await
}

/// What became of each of some tries, twice with the same seed: it has to be the same, and struck at
/// about this share.
async fn repeats<F: Future<Output = Vec<bool>>>(share: f64, tries: impl Fn() -> F) {
    let first = tries().await;
    assert_eq!(first, tries().await, "it does not repeat");
    let struck = first.iter().filter(|struck| **struck).count();
    let (struck, all) = (count(struck), count(first.len()));
    let tolerance = 5.0 * (all * share * (1.0 - share)).sqrt();
    assert!(
        struck > 0.0 && (struck - all * share).abs() < tolerance,
        "{struck} of {all}"
    );
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("few"))
}

/// The statuses of some posts to one connection.
async fn statuses(faults: &str, posts: usize) -> Vec<u16> {
    let mut app = app(faults).await;
    let (_client, id) = app.connect_with_id().await;
    let mut statuses = Vec::new();
    for _ in 0..posts {
        statuses.push(app.manage("POST", &id, b"post").await.status);
    }
    app.stop().await;
    statuses
}

#[tokio::test]
async fn requests_for_connections_take_as_long_as_asked_for_and_many_at_once_no_longer() {
    // Twenty of them are longer than twenty requests take on any machine.
    const LATENCY: Duration = Duration::from_secs(2);
    let mut app = app("post-latency=2s").await;
    let (mut client, id) = app.connect_with_id().await;
    let begun = Instant::now();
    let posts = (0..20).map(|_| app.manage("POST", &id, b"post"));
    for answer in futures_util::future::join_all(posts).await {
        assert_eq!(answer.status, 200);
    }
    let took = begun.elapsed();
    assert!(took >= LATENCY && took < 20 * LATENCY, "{took:?}");
    for _ in 0..20 {
        assert_eq!(client.text().await, "post");
    }
    app.stop().await;
}

#[tokio::test]
async fn posts_are_throttled_or_fail_now_and_then() {
    for (fault, status) in [("throttle", 429), ("server-error", 500)] {
        repeats(0.2, || async move {
            let statuses = statuses(&format!("{fault}=20%"), 100).await;
            assert!(statuses.iter().all(|it| [200, status].contains(it)));
            statuses.iter().map(|it| *it == status).collect()
        })
        .await;
    }
}

#[tokio::test]
async fn a_refused_post_is_worded_for_the_sdks() {
    for (fault, kind) in [
        ("throttle=100%", "limitexceededexception"),
        ("server-error=100%", "internalservererrorexception"),
        ("gone=100%", "goneexception"),
    ] {
        let mut app = app(fault).await;
        let (_client, id) = app.connect_with_id().await;
        let answer = app.manage("POST", &id, b"post").await;
        let header = format!("x-amzn-errortype: {kind}");
        assert!(answer.head.contains(&header), "{}", answer.head);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_gone_now_and_then_stays_gone() {
    repeats(0.3, || async {
        let mut app = app("gone=30%").await;
        let mut gone = Vec::new();
        // Kept, so that none ends by itself.
        let mut clients = Vec::new();
        for _ in 0..40 {
            let (mut client, id) = app.connect_with_id().await;
            let status = app.manage("POST", &id, b"post").await.status;
            gone.push(status == 410);
            if status == 410 {
                assert_eq!(client.closed().await, 1001);
                let event = app.event("DISCONNECT").await;
                assert_eq!(event["requestContext"]["connectionId"], *id);
            } else {
                assert_eq!(status, 200);
                assert_eq!(client.text().await, "post");
            }
            clients.push(client);
        }
        app.stop().await;
        gone
    })
    .await;
}

/// Sends numbers, each as a post that is accepted.
async fn post_numbers(app: &App, id: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let answer = app.manage("POST", id, number.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200);
    }
}

async fn number(client: &mut Client) -> usize {
    client.text().await.parse().expect("a number")
}

#[tokio::test]
async fn posts_that_were_accepted_are_lost_now_and_then() {
    repeats(0.2, || async {
        let mut app = app("lose-post=20%").await;
        let (mut client, id) = app.connect_with_id().await;
        post_numbers(&app, &id, 0..100).await;
        // Nothing else ends them: a number after the last one may be lost as well.
        client.send(r#"{"action":"say","text":"end"}"#).await;
        let mut lost = vec![true; 100];
        while let Ok(number) = client.text().await.parse::<usize>() {
            lost[number] = false;
        }
        app.stop().await;
        lost
    })
    .await;
}

#[tokio::test]
async fn posts_overtake_each_other_and_all_arrive() {
    let mut app = app("reorder=200ms").await;
    let (mut client, id) = app.connect_with_id().await;
    post_numbers(&app, &id, 0..50).await;
    let mut arrived = Vec::new();
    for _ in 0..50 {
        arrived.push(number(&mut client).await);
    }
    assert!(!arrived.is_sorted(), "{arrived:?}");
    arrived.sort_unstable();
    assert_eq!(arrived, (0..50).collect::<Vec<_>>());
    app.stop().await;
}

#[tokio::test]
async fn disconnects_are_lost_now_and_then() {
    repeats(0.4, || async {
        let mut app = app("lose-disconnect=40%").await;
        let mut lost = Vec::new();
        for _ in 0..40 {
            let client = app.connect().await;
            client.close(1000, "").await;
            // Either is told, so nothing has to be waited for in vain.
            let told = async {
                loop {
                    let line = app.line("").await;
                    if line == "FAULT lose-disconnect" {
                        return true;
                    }
                    if line.starts_with("EVENT ") && line.contains(r#""DISCONNECT""#) {
                        return false;
                    }
                }
            };
            lost.push(soon("the end", told).await);
        }
        app.stop().await;
        lost
    })
    .await;
}

#[tokio::test]
async fn slow_clients_fill_their_buffer_and_others_do_not() {
    // Some of ten are slow, the same each time.
    repeats(0.5, || async {
        let mut app = app("slow-client=50%").await;
        let mut slow = Vec::new();
        // The second one is too many for who takes one a second, all twenty are not for the others.
        let body = vec![b'x'; 20 * 1024];
        let mut clients = Vec::new();
        for _ in 0..10 {
            let (mut client, id) = app.connect_with_id().await;
            // Whether it is slow shows when it is served, which the answer to its handshake does not
            // wait for.
            client.turn("hello").await;
            let mut full = false;
            for _ in 0..20 {
                full |= app.manage("POST", &id, &body).await.status == 429;
            }
            slow.push(full);
            clients.push(client);
        }
        app.stop().await;
        slow
    })
    .await;
}

#[tokio::test]
async fn a_slow_client_gets_all_that_was_accepted_in_the_end() {
    let mut app = app("slow-client=100%").await;
    let begun = Instant::now();
    let (mut client, id) = app.connect_with_id().await;
    post_numbers(&app, &id, 0..4).await;
    assert!(begun.elapsed() < DEADLINE, "its sender does not wait");
    for expected in 0..4 {
        assert_eq!(client.next().await, Message::text(expected.to_string()));
    }
    // One a second, the first of them a second after the opening.
    assert!(
        begun.elapsed() >= Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    app.stop().await;
}
