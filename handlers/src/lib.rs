//! The chat: what runs in the Lambda functions, and nothing about how they get there.
//!
//! # Layout
//!
//! - `main.rs`: the `bootstrap` binary; `_HANDLER` picks the function.
//! - [`connect`], [`disconnect`], [`action`], [`authorize`]: one API Gateway event in, one response out.
//! - [`event`]: what those share of events and responses.
//! - [`origin`]: which pages' sockets are let in.
//! - [`sign_in`]: whose token is good.
//! - [`protocol`]: the frames on the wire (`PROTOCOL.md`).
//! - [`chat`]: the rules. They know [`ports`] and no SDK or Lambda type.
//! - [`ports`]: what the rules need from outside: a store, an outbox, a clock, randomness.
//! - [`adapters`]: the ports on DynamoDB and `@connections`; the only importers of an AWS SDK.
//! - [`config`]: every environment variable, by name, read once.
//! - [`log`]: the line of each invocation, and its metrics.
//!
//! # Example
//!
//! What a client writes, as the rules get it; a code as a person typed it:
//!
//! ```
//! use handlers::chat::RoomCode;
//! use handlers::protocol::{ClientFrame, Code};
//!
//! let frame = ClientFrame::parse(r#"{"type":"join","room":"7k3m9 qx2tb","name":"bob"}"#);
//! let Ok(ClientFrame::Join { room, name, .. }) = frame else {
//!     panic!("such a frame is read");
//! };
//! assert_eq!(name, "bob");
//! let code = RoomCode::parse(&room).expect("a code");
//! assert_eq!(code.to_string(), "7K3M9-QX2TB");
//!
//! let refusal = ClientFrame::parse(r#"{"type":"dance"}"#).expect_err("nobody can");
//! assert_eq!(refusal.code, Code::BadType);
//! ```

pub mod action;
pub mod adapters;
pub mod authorize;
pub mod chat;
pub mod config;
pub mod connect;
pub mod disconnect;
pub mod event;
pub mod log;
pub mod origin;
pub mod ports;
pub mod protocol;
pub mod sign_in;
