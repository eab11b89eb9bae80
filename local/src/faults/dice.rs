//! When a fault strikes.
//!
//! Each fault has a stream of random numbers of its own, made of the seed and the fault's name, and
//! the n-th decision about a fault takes the n-th number of its stream. So a run repeats with its
//! seed, as far as the stack's requests come in the same order again, and one fault never shifts
//! another's strikes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Fault, Faults};
use crate::observer::{Event, Observer};

/// Decides when a fault strikes, and tells the observer when one does.
#[derive(Debug)]
pub(crate) struct Dice {
    faults: Faults,
    streams: [Stream; Fault::ALL.len()],
    observer: Observer,
}

/// What happens to a request to `@connections`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostFault {
    Gone,
    Throttle,
    ServerError,
    /// Accepted, never delivered.
    Lose,
    /// Accepted, delivered later.
    Delay(Duration),
}

impl Dice {
    pub(crate) fn new(faults: Faults, seed: u64, observer: &Observer) -> Self {
        Self {
            faults,
            streams: Fault::ALL.map(|fault| Stream::new(seed, fault)),
            observer: observer.clone(),
        }
    }

    /// Every fault of a request is drawn, whichever strikes then, so that each has one draw a
    /// request. Faults of a delivery are for posts alone.
    pub(crate) fn post(&self, is_post: bool) -> Option<PostFault> {
        let faults = &self.faults;
        let of_request = [
            (Fault::Throttle, faults.throttle, PostFault::Throttle),
            (
                Fault::ServerError,
                faults.server_error,
                PostFault::ServerError,
            ),
            (Fault::Gone, faults.gone, PostFault::Gone),
        ];
        let of_request =
            of_request.map(|(fault, share, outcome)| (fault, self.draws(fault, share), outcome));
        let lost = is_post && self.draws(Fault::LosePost, faults.lose_post);
        let delay = is_post.then(|| self.delay()).flatten();
        let struck = of_request.into_iter().find(|(_, strikes, _)| *strikes);
        if let Some((fault, _, outcome)) = struck {
            self.tell(fault);
            return Some(outcome);
        }
        if lost {
            self.tell(Fault::LosePost);
            return Some(PostFault::Lose);
        }
        delay.map(PostFault::Delay)
    }

    pub(crate) fn lose_disconnect(&self) -> bool {
        self.strikes(Fault::LoseDisconnect, self.faults.lose_disconnect)
    }

    pub(crate) fn slow_client(&self) -> bool {
        self.strikes(Fault::SlowClient, self.faults.slow_client)
    }

    pub(crate) fn db_throttle(&self) -> bool {
        self.strikes(Fault::DbThrottle, self.faults.db_throttle)
    }

    /// Whether DynamoDB throttles now and then.
    pub(crate) fn has_db_throttle(&self) -> bool {
        self.faults.db_throttle > 0.0
    }

    /// How long `@connections` takes to answer. Not told: it happens to every request.
    pub(crate) fn post_latency(&self) -> Duration {
        self.faults.post_latency
    }

    /// How much longer a process takes to start.
    pub(crate) fn cold_start(&self) -> Duration {
        self.faults.cold_start
    }

    /// How long into this invocation its process is killed, if it is: a share of `within`.
    pub(crate) fn crash(&self, within: Duration) -> Option<Duration> {
        if self.faults.crash <= 0.0 {
            return None;
        }
        let drawn = self.stream(Fault::Crash).draw();
        (share_of(drawn) < self.faults.crash).then(|| {
            self.tell(Fault::Crash);
            // Its own number: the one above is small whenever the fault strikes.
            within.mul_f64(share_of(mix(drawn)))
        })
    }

    /// How much later a post is delivered.
    fn delay(&self) -> Option<Duration> {
        let most = self.faults.reorder;
        // Not told: it happens to every post.
        (!most.is_zero()).then(|| most.mul_f64(share_of(self.stream(Fault::Reorder).draw())))
    }

    fn strikes(&self, fault: Fault, share: f64) -> bool {
        let strikes = self.draws(fault, share);
        if strikes {
            self.tell(fault);
        }
        strikes
    }

    fn draws(&self, fault: Fault, share: f64) -> bool {
        share > 0.0 && share_of(self.stream(fault).draw()) < share
    }

    fn stream(&self, fault: Fault) -> &Stream {
        &self.streams[fault as usize]
    }

    fn tell(&self, fault: Fault) {
        self.observer.tell(Event::Fault(fault));
    }
}

/// Splitmix64 (Steele, Lea and Flood, “Fast splittable pseudorandom number generators”, 2014): its
/// n-th number is a function of its start and n alone, which is just what is needed here.
#[derive(Debug)]
struct Stream {
    start: u64,
    drawn: AtomicU64,
}

/// The odd number nearest to 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Stream {
    fn new(seed: u64, fault: Fault) -> Self {
        let start = fault
            .name()
            .bytes()
            .fold(mix(seed.wrapping_add(GAMMA)), |state, byte| {
                mix(state ^ u64::from(byte))
            });
        Self {
            start,
            drawn: AtomicU64::new(0),
        }
    }

    fn draw(&self) -> u64 {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        mix(self.start.wrapping_add(n.wrapping_mul(GAMMA)))
    }
}

/// Splitmix64's finalizer.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 to below 1, from the 53 bits that a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
fn share_of(drawn: u64) -> f64 {
    (drawn >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers of the reference implementation (Sebastiano Vigna's) from state 0.
        let stream = Stream {
            start: 0,
            drawn: AtomicU64::new(0),
        };
        let numbers = [stream.draw(), stream.draw(), stream.draw()];
        assert_eq!(
            numbers,
            [
                0xe220_a839_7b1d_cdaf,
                0x6e78_9e6a_a1b9_65f4,
                0x06c4_5d18_8009_454f
            ]
        );
    }
}
