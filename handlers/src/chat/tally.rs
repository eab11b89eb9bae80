//! What became of frames for others, in numbers, for whoever tells of an invocation.

use std::ops::AddAssign;
use std::time::Duration;

/// What was posted to others, and how that went. Nothing of what was said, or by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Posts that API Gateway took.
    pub delivered: usize,
    /// Receivers who were found gone.
    pub gone: usize,
    /// Posts that were answered 429, first ones and repeated ones.
    pub throttled: usize,
    /// Posts that were made again to somebody whom an earlier one did not reach.
    pub retried: usize,
    /// Receivers who were given up. They ask for what they missed.
    pub unreached: usize,
    /// Receivers whom other invocations serve. What becomes of them is in those tallies.
    pub handed: usize,
    /// From a message's time to the last post of it that was made here, if one was said.
    pub message: Option<Duration>,
    /// From the first post to the last, added up over all frames.
    pub took: Duration,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.gone += other.gone;
        self.throttled += other.throttled;
        self.retried += other.retried;
        self.unreached += other.unreached;
        self.handed += other.handed;
        self.message = self.message.max(other.message);
        self.took += other.took;
    }
}
