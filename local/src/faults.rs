//! What the real cloud does on a bad day, on demand and repeatably.
//!
//! # Layout
//!
//! - `faults.rs`: which faults there are, how often each strikes, and reading that from text.
//! - `faults/dice.rs`: when one strikes.
//!
//! Where they strike is not here: each is committed by the part of the stack that would fail in the
//! cloud.

mod dice;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub(crate) use dice::{Dice, PostFault};

/// Faults that the local stack commits on purpose. Shares go from 0, never, to 1, always.
///
/// Read from text they are separated by commas:
///
/// ```
/// let faults: local::Faults = "gone=1%,reorder=50ms".parse()?;
/// assert_eq!(faults.gone, 0.01);
/// # Ok::<(), local::FaultError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// The share of `@connections` requests that find the connection gone: 410, and the connection
    /// ends, because on AWS an id that is gone never comes back.
    pub gone: f64,
    /// The share of `@connections` requests that are refused with 429.
    pub throttle: f64,
    /// The share of `@connections` requests that fail with 500.
    pub server_error: f64,
    /// The share of closed connections whose `$disconnect` is never delivered. API Gateway delivers
    /// it on a best-effort basis.
    pub lose_disconnect: f64,
    /// The share of posts that are accepted and never delivered.
    pub lose_post: f64,
    /// How long `@connections` takes to answer each request. Here it takes a fraction of a millisecond;
    /// in the cloud some milliseconds, by the Region's distance and load.
    pub post_latency: Duration,
    /// Each post is delivered up to this much later than it was accepted, so that some overtake
    /// others. API Gateway guarantees no order.
    pub reorder: Duration,
    /// How much longer a function's process takes to start; and no process is kept ready from the
    /// start.
    pub cold_start: Duration,
    /// The share of invocations in the middle of which the process is killed: before it has done
    /// anything, after it has done everything, or in between.
    pub crash: f64,
    /// The share of DynamoDB requests that are refused as throttled.
    pub db_throttle: f64,
    /// The share of connections whose client reads so slowly that its buffer fills.
    pub slow_client: f64,
}

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is explained at the field of `Faults`")]
pub enum Fault {
    Gone,
    Throttle,
    ServerError,
    LoseDisconnect,
    LosePost,
    PostLatency,
    Reorder,
    ColdStart,
    Crash,
    DbThrottle,
    SlowClient,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Gone,
        Self::Throttle,
        Self::ServerError,
        Self::LoseDisconnect,
        Self::LosePost,
        Self::PostLatency,
        Self::Reorder,
        Self::ColdStart,
        Self::Crash,
        Self::DbThrottle,
        Self::SlowClient,
    ];

    /// Its name in text. It also chooses the fault's random numbers: another name, other strikes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Throttle => "throttle",
            Self::ServerError => "server-error",
            Self::LoseDisconnect => "lose-disconnect",
            Self::LosePost => "lose-post",
            Self::PostLatency => "post-latency",
            Self::Reorder => "reorder",
            Self::ColdStart => "cold-start",
            Self::Crash => "crash",
            Self::DbThrottle => "db-throttle",
            Self::SlowClient => "slow-client",
        }
    }

    /// How it is asked for, and what it does, in a line.
    #[must_use]
    pub fn usage(self) -> (&'static str, &'static str) {
        match self {
            Self::Gone => ("gone=1%", "posts are answered 410, and the connection ends"),
            Self::Throttle => ("throttle=5%", "posts are answered 429"),
            Self::ServerError => ("server-error=1%", "posts are answered 500"),
            Self::LoseDisconnect => ("lose-disconnect=20%", "`$disconnect` is never delivered"),
            Self::LosePost => ("lose-post=0.5%", "posts are accepted and never delivered"),
            Self::PostLatency => (
                "post-latency=10ms",
                "posts are answered this much later, as in the cloud",
            ),
            Self::Reorder => (
                "reorder=50ms",
                "posts are delivered up to this much later, out of order",
            ),
            Self::ColdStart => (
                "cold-start=300ms",
                "functions take this much longer to start",
            ),
            Self::Crash => (
                "crash=0.5%",
                "a function's process is killed amid an invocation",
            ),
            Self::DbThrottle => ("db-throttle=2%", "DynamoDB refuses requests as throttled"),
            Self::SlowClient => (
                "slow-client=5%",
                "clients read slowly, until posts are answered 429",
            ),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// There is none of that name.
    #[error("there is no fault `{0}`")]
    Unknown(String),
    /// Its share cannot be read.
    #[error("`{fault}={value}` is no share: it takes a percentage from 0% to 100%")]
    Share {
        /// The fault.
        fault: Fault,
        /// What was given.
        value: String,
    },
    /// Its duration cannot be read.
    #[error("`{fault}={value}` is no duration: it takes one such as 50ms or 1s, at most 60s")]
    Duration {
        /// The fault.
        fault: Fault,
        /// What was given.
        value: String,
    },
    /// It was given twice.
    #[error("the fault `{0}` is given twice")]
    Twice(Fault),
}

/// The longest duration of a fault. Anything beyond the 29 s of an integration is a fault of its own.
const DURATION_MAX: Duration = Duration::from_mins(1);

/// Where a fault's extent is kept.
enum Extent<'a> {
    Share(&'a mut f64),
    Duration(&'a mut Duration),
}

impl Faults {
    /// Whether nothing goes wrong on purpose.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn extent(&mut self, fault: Fault) -> Extent<'_> {
        match fault {
            Fault::Gone => Extent::Share(&mut self.gone),
            Fault::Throttle => Extent::Share(&mut self.throttle),
            Fault::ServerError => Extent::Share(&mut self.server_error),
            Fault::LoseDisconnect => Extent::Share(&mut self.lose_disconnect),
            Fault::LosePost => Extent::Share(&mut self.lose_post),
            Fault::PostLatency => Extent::Duration(&mut self.post_latency),
            Fault::Reorder => Extent::Duration(&mut self.reorder),
            Fault::ColdStart => Extent::Duration(&mut self.cold_start),
            Fault::Crash => Extent::Share(&mut self.crash),
            Fault::DbThrottle => Extent::Share(&mut self.db_throttle),
            Fault::SlowClient => Extent::Share(&mut self.slow_client),
        }
    }
}

impl FromStr for Faults {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        let mut given = Vec::new();
        for spec in text
            .split(',')
            .map(str::trim)
            .filter(|spec| !spec.is_empty())
        {
            let (name, value) = spec.split_once('=').unwrap_or((spec, ""));
            let fault = Fault::ALL
                .into_iter()
                .find(|fault| fault.name() == name.trim())
                .ok_or_else(|| FaultError::Unknown(name.trim().to_owned()))?;
            if given.contains(&fault) {
                return Err(FaultError::Twice(fault));
            }
            given.push(fault);
            let value = value.trim();
            let owned = || value.to_owned();
            match faults.extent(fault) {
                Extent::Share(share) => {
                    *share = read_share(value).ok_or_else(|| FaultError::Share {
                        fault,
                        value: owned(),
                    })?;
                }
                Extent::Duration(duration) => {
                    *duration = humantime::parse_duration(value)
                        .ok()
                        .filter(|duration| *duration <= DURATION_MAX)
                        .ok_or_else(|| FaultError::Duration {
                            fault,
                            value: owned(),
                        })?;
                }
            }
        }
        Ok(faults)
    }
}

/// `0.5%` is 0.005. The sign is asked for, so that nobody means 5 % by `5` and gets five times
/// everything.
fn read_share(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}
