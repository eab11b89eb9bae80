//! Attacks on `chatctl dev`, with a conversation beside each that has to go on undisturbed: what
//! SECURITY.md says of abuse. Sizes, ages and rates at their edges are tested in `local/tests/gateway/`.

#[path = "siege/beside.rs"]
mod beside;
#[path = "siege/frames.rs"]
mod frames;
#[path = "siege/http.rs"]
mod http;
#[path = "siege/masses.rs"]
mod masses;
#[path = "siege/raw.rs"]
mod raw;
