//! The end of a stack, as its clients see it. The stack has a runtime of its own here, which ends with
//! it as a process would: what is not done by then is never done.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::support::App;

#[test]
fn when_a_stack_has_stopped_every_client_has_been_told_going_away() {
    let (served, clients) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let app = served.block_on(App::start());
    let mut open = Vec::new();
    for _ in 0..50 {
        open.push(clients.block_on(app.connect()));
    }
    served.block_on(app.stop());
    served.shutdown_background();
    for mut client in open {
        assert_eq!(clients.block_on(client.closed()), 1001);
    }
}

#[test]
fn a_stack_that_has_stopped_has_left_nobody_who_serves_clients() {
    let (served, clients) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let app = served.block_on(App::start());
    let open = clients.block_on(app.connect());
    let mut kept = clients.block_on(app.tcp());
    let asked = async {
        kept.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await?;
        kept.read_u8().await
    };
    clients.block_on(asked).unwrap();
    let silent = clients.block_on(app.tcp());
    served.block_on(app.stop());
    // A task counts for a moment after it has ended. A connection that is forgotten ends after 10 s.
    let since = Instant::now();
    while served.metrics().num_alive_tasks() > 0 {
        assert!(since.elapsed() < Duration::from_secs(5), "{served:?}");
        std::thread::yield_now();
    }
    drop((open, kept, silent));
}
