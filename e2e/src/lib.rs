//! What the end-to-end tests share: `chatctl` as a process, and chat clients over real sockets.
//!
//! # Layout
//!
//! - [`altered`]: the functions' program, made worse on purpose.
//! - [`browser`]: the tests of the page, as a process.
//! - [`chatctl`]: building and running the program.
//! - [`client`]: a WebSocket client that speaks frames of JSON.
//! - [`conversation`]: the receiver's side of the protocol; [`member`]: a client that loses nothing, and
//!   has the worst of connections.
//! - [`meddler`]: somebody in between who breaks what a chat promises.
//! - [`ministack`]: AWS, as far as the tests need it.
//! - [`provider`]: an OpenID Connect provider that signs what a test has it sign.
//! - [`stack`]: the local stack in this process, for tests that look into it.
//! - [`terminal`]: a terminal, for what is drawn on one.
//!
//! The tests are in `tests/`, those in a browser in `browser/`.

pub mod altered;
pub mod browser;
pub mod chatctl;
pub mod checkout;
pub mod client;
pub mod conversation;
pub mod meddler;
pub mod member;
pub mod ministack;
pub mod provider;
pub mod stack;
pub mod terminal;

use std::time::Duration;

/// How long a test waits for anything. Never reached when all is well, even on a busy machine: it is a
/// safety net, and measures nothing.
pub const DEADLINE: Duration = Duration::from_mins(5);

/// Waits for `future`.
///
/// # Panics
/// When it takes longer than [`DEADLINE`], naming `what`.
pub async fn within_deadline<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(DEADLINE, future).await;
    outcome.unwrap_or_else(|_| panic!("no {what} within {} s", DEADLINE.as_secs()))
}
