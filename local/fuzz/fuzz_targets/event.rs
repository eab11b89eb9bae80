//! Route selection and events, from frames, headers and query strings. An input is four parts with
//! the byte 0xff between them, which no UTF-8 text has.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0xff);
    let mut next = || parts.next().unwrap_or_default();
    let (expression, text, head, query) = (next(), next(), next(), next());
    local::fuzzing::event(
        &String::from_utf8_lossy(expression),
        &String::from_utf8_lossy(text),
        head,
        &String::from_utf8_lossy(query),
    );
});
