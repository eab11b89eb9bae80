//! The local stack as its clients see it: an app in Node, started through the library's interface
//! from a template that is not the chat's, real WebSocket clients, and AWS's own SDKs.

mod abuse;
mod another_app;
mod bad_day;
mod events;
mod functions;
mod limits;
mod management;
mod sdks;
mod stop;
mod support;
