//! Waiting with a deadline: pauses that grow, with jitter, until time is up.

use std::time::{Duration, Instant};

/// How often something is looked at again, and until when.
#[derive(Debug)]
pub(crate) struct Patience {
    until: Instant,
    first: Duration,
    most: Duration,
    next: Duration,
}

/// Tests do not wait for what is there at once.
const HASTE: u32 = if cfg!(test) { 100 } else { 1 };

impl Patience {
    /// Looks again after `first`, then ever more seldom up to every `most`, for as long as `limit`.
    pub(crate) fn new(limit: Duration, first: Duration, most: Duration) -> Self {
        Self {
            until: Instant::now() + limit,
            first: first / HASTE,
            most: most / HASTE,
            next: first / HASTE,
        }
    }

    /// Pauses; `false` at once when time is up.
    pub(crate) async fn pause(&mut self) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(self.next.mul_f64(jitter()).min(left)).await;
        self.next = self.next.mul_f64(1.5).min(self.most);
        true
    }

    /// Something happened: more may follow soon.
    pub(crate) fn hasten(&mut self) {
        self.next = self.first;
    }
}

/// From 0.75 to 1.25, so that many who wait do not come at the same time.
fn jitter() -> f64 {
    let mut byte = [128];
    // Without randomness everyone waits equally long, which is no harm.
    let _ = getrandom::fill(&mut byte);
    0.75 + f64::from(byte[0]) / 510.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn patience_ends() {
        let step = Duration::from_millis(1);
        let mut patience = Patience::new(Duration::from_millis(20), step, step);
        let since = Instant::now();
        while patience.pause().await {}
        assert!(since.elapsed() >= Duration::from_millis(20));
    }
}
