//! How many files this process may have open: each connection is one, and systems let a process begin
//! with as few as 256.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is tried, the most first: more than any chat on one machine needs, and what macOS gives at most.
const WANTED: [u64; 2] = [65_536, 10_240];

/// Lets this process have as many as it may, up to what a chat can need. Where it may not, it goes on
/// with what there is: connections beyond that wait to be accepted.
pub(super) fn allow_many() {
    let limit = getrlimit(Resource::Nofile);
    for wanted in WANTED {
        let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let raised = Rlimit {
            current: Some(current),
            maximum: limit.maximum,
        };
        let is_enough = limit.current.is_none_or(|now| now >= current);
        if is_enough || setrlimit(Resource::Nofile, raised).is_ok() {
            return;
        }
    }
}
