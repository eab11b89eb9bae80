//! Two who talk while something else goes on: each message arrives at both, once, in order, and soon.

use std::time::{Duration, Instant};

use e2e::client::Client;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A message takes some milliseconds; this is what an attack and a busy machine may make of one of them.
const UNDISTURBED: Duration = Duration::from_secs(30);

/// What they may make of half of them: who is held up by an attack is so at each message.
const USUALLY: Duration = Duration::from_secs(5);

/// A pause between two messages: people talk, and do not flood.
const PAUSE: Duration = Duration::from_millis(20);

/// Nobody is too fast: what an attack does is to be seen, and not what the chat's rules make of it.
pub(crate) const TALKATIVE: [&str; 3] = ["--quiet", "--messages-per-second", "0"];

/// How often a message is sent again that the stage's throttle, which all share, has refused.
const TRIES: usize = 50;

/// A conversation, going on.
pub(crate) struct Conversation {
    end: oneshot::Sender<()>,
    talk: JoinHandle<Figures>,
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) messages: u64,
    pub(crate) sent_again: u64,
    pub(crate) longest: Duration,
    pub(crate) median: Duration,
}

impl Conversation {
    /// Begins it, in a room of its own.
    pub(crate) async fn begin(websocket: &str) -> Self {
        let mut ann = Client::connect(websocket).await;
        let joined = ann
            .ask_for("joined", json!({"type": "create", "name": "ann"}))
            .await;
        let mut bob = Client::connect(websocket).await;
        let join = json!({"type": "join", "room": joined["room"], "name": "bob"});
        bob.ask_for("joined", join).await;
        let (end, mut ended) = oneshot::channel();
        let talk = tokio::spawn(async move {
            let (mut figures, mut took) = (Figures::default(), Vec::new());
            while ended.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                took.push(turn(&mut ann, &mut bob, &mut figures).await);
                took.push(turn(&mut bob, &mut ann, &mut figures).await);
            }
            took.sort_unstable();
            figures.median = took.get(took.len() / 2).copied().unwrap_or_default();
            for client in [&mut ann, &mut bob] {
                let more = client.messages_until_pong().await;
                assert_eq!(more, Vec::<Value>::new(), "each came once");
            }
            figures
        });
        Self { end, talk }
    }

    /// Ends it. What had to be so is asserted on the way.
    pub(crate) async fn end(self, beside: &str) -> Figures {
        // It fails if the talk has failed, which the next line tells.
        let _ = self.end.send(());
        let figures = self.talk.await.expect("both heard all of it");
        assert!(figures.messages >= 2, "{figures:?}");
        // For whoever looks: `cargo test -p e2e --test siege -- --nocapture`.
        let line = format!("beside {beside}: {figures:?}\n");
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("written");
        assert!(figures.median < USUALLY, "{figures:?}");
        figures
    }
}

/// One says something, and both hear it as the next message of the room; how long that took.
async fn turn(speaker: &mut Client, listener: &mut Client, figures: &mut Figures) -> Duration {
    let since = Instant::now();
    let number = figures.messages + 1;
    let frame = json!({"type": "message", "text": number.to_string(), "id": number.to_string()});
    let said = 'said: {
        for _ in 0..TRIES {
            speaker.send(frame.clone()).await;
            let answer = next(speaker).await;
            if answer["type"] == "message" {
                break 'said answer;
            }
            // API Gateway's own frames have no type.
            assert_eq!(answer["message"], "Too Many Requests", "{answer}");
            figures.sent_again += 1;
            tokio::time::sleep(PAUSE).await;
        }
        panic!("refused {TRIES} times");
    };
    let heard = next(listener).await;
    for message in [&said, &heard] {
        assert_eq!(message["seq"], number, "{message}");
        assert_eq!(message["text"], number.to_string(), "{message}");
    }
    let took = since.elapsed();
    assert!(took < UNDISTURBED, "message {number} took {took:?}");
    figures.messages = number;
    figures.longest = figures.longest.max(took);
    tokio::time::sleep(PAUSE).await;
    took
}

/// The next frame but for those that tell who is there.
async fn next(client: &mut Client) -> Value {
    loop {
        let frame = client.next().await;
        if frame["type"] != "presence" {
            return frame;
        }
    }
}
