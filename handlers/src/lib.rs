//! The chat: what runs in the Lambda functions, and nothing about how they get there.
//!
//! # Layout
//!
//! - `main.rs`: the `bootstrap` binary; `_HANDLER` picks the function.
//! - [`connect`], [`disconnect`], [`action`], [`authorize`]: one API Gateway event in, one response out.
//! - [`origin`]: which pages' sockets are let in.
//! - [`sign_in`]: whose token is good.
//! - [`protocol`]: the frames on the wire (`PROTOCOL.md`).
//! - [`chat`]: the rules. They know [`ports`] and no SDK or Lambda type.
//! - [`ports`]: what the rules need from outside: a store, an outbox, a clock, randomness.
//! - [`adapters`]: the ports on DynamoDB and `@connections`; the only importers of an AWS SDK.
//! - [`config`]: every environment variable, by name, read once.

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
