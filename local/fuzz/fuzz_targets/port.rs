//! The port from end to end: an HTTP request, the handshake, frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use local::fuzzing::Port;

thread_local! {
    static PORT: Port = Port::new();
}

fuzz_target!(|data: &[u8]| PORT.with(|port| port.receive(data)));
