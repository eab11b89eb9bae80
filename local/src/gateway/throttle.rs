//! The stage's throttle: a token bucket, as API Gateway describes it.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::template::Throttle;

/// A token bucket that starts full.
#[derive(Debug)]
pub(super) struct Bucket {
    throttle: Throttle,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    pub(super) fn new(throttle: Throttle) -> Self {
        Self {
            throttle,
            state: Mutex::new((f64::from(throttle.burst), Instant::now())),
        }
    }

    /// Takes a token; `false` when there is none.
    pub(super) fn take(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, filled_at) = *state;
        let now = Instant::now();
        let gained = now.duration_since(filled_at).as_secs_f64() * self.throttle.rate;
        let tokens = (tokens + gained).min(f64::from(self.throttle.burst));
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, now);
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate() {
        let bucket = Bucket::new(Throttle {
            rate: 10.0,
            burst: 3,
        });
        let taken = |times: usize| (0..times).filter(|_| bucket.take()).count();
        assert_eq!(taken(5), 3);
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(taken(5), 2);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(taken(5), 3, "no more than the burst is saved up");
    }
}
