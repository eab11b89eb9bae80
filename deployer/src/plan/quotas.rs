//! What AWS allows an account in a Region by default, and what of it can be raised. By AWS's quota
//! pages of API Gateway, Lambda and DynamoDB.

use super::Load;
use super::figures::{DATABASE_MS, LATENCY_FLOOR_MS, POST_MS};
use super::flows::Flows;

/// The share of a quota that a plan uses at most: people do not come evenly.
pub(super) const SHARE_MAX: f64 = 0.7;

/// Requests in a second, of all APIs and `@connections` together.
const REQUESTS: f64 = 10_000.0;
/// The same in the Regions below.
const REQUESTS_IN_SMALL_REGIONS: f64 = 2_500.0;
/// Cape Town, Hyderabad, Jakarta, Melbourne, Malaysia, Thailand, Calgary, Zurich, Milan, Spain,
/// Tel Aviv, the Emirates, Mexico.
const SMALL_REGIONS: [&str; 13] = [
    "af-south-1",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "mx-central-1",
];

/// The quota of them, in Service Quotas.
pub(super) const NEW_CONNECTIONS_NAME: &str =
    "API Gateway: New connections per second (L-9ED1E49A)";
/// The stage's own throttle.
pub(super) const STAGE_RATE_NAME: &str = "`--throttle-rate` of `chatctl deploy`";
/// New connections in a second.
const NEW_CONNECTIONS: f64 = 500.0;
/// Frames and handshakes in a second that a stage takes, unless somebody says otherwise.
pub(super) const STAGE_RATE: f64 = 1_000.0;
/// Functions at work at the same time.
const CONCURRENCY: f64 = 1_000.0;
/// Units of a table in a second, reads and writes each.
const TABLE_UNITS: f64 = 40_000.0;
/// Read units of a partition in a second. A room is one.
const PARTITION_READS: f64 = 3_000.0;
/// Write units of a partition in a second.
const PARTITION_WRITES: f64 = 1_000.0;
/// How long a function takes for a frame at most, by `handlers/src/action.rs`, s.
const ANSWER_S: f64 = 25.0;

/// Where it is, and what is allowed there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region {
    /// AWS's name.
    pub(super) name: String,
    /// API Gateway's requests in a second.
    pub(super) requests: f64,
}

/// What cannot be the name of a Region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a Region")]
pub(crate) struct RegionError(pub(crate) String);

impl std::str::FromStr for Region {
    type Err = RegionError;

    /// By its form: which Regions there are changes.
    fn from_str(name: &str) -> Result<Self, RegionError> {
        let mut parts: Vec<&str> = name.split('-').collect();
        let number = parts.pop().unwrap_or_default();
        let is_word = |it: &&str| it.len() >= 2 && it.bytes().all(|it| it.is_ascii_lowercase());
        let is_number = number.len() == 1 && number.bytes().all(|it| it.is_ascii_digit());
        if parts.len() < 2 || !is_number || !parts.iter().all(is_word) {
            return Err(RegionError(name.to_owned()));
        }
        let is_small = SMALL_REGIONS.contains(&name);
        Ok(Self {
            name: name.to_owned(),
            requests: if is_small {
                REQUESTS_IN_SMALL_REGIONS
            } else {
                REQUESTS
            },
        })
    }
}

/// Who can change a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// AWS, when it is asked for this one in Service Quotas.
    Ask(&'static str),
    /// Whoever deploys, here.
    Change(&'static str),
    /// Nobody. This helps instead.
    Instead(&'static str),
}

/// What shares a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All that an account has in a Region.
    Account,
    /// A stage of it.
    Stage,
    /// One room.
    Room,
}

impl Scope {
    /// Whether more accounts are more of it.
    pub(super) fn is_split_by_cells(self) -> bool {
        self != Self::Room
    }
}

/// A quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quota {
    pub(super) what: &'static str,
    pub(super) amount: f64,
    pub(super) scope: Scope,
    pub(super) remedy: Remedy,
}

/// What a load takes of a quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Demand {
    pub(super) quota: Quota,
    pub(super) amount: f64,
}

impl Demand {
    /// 1 is all of it.
    pub(super) fn share(&self) -> f64 {
        self.amount / self.quota.amount
    }

    /// Whether it leaves too little for a busy minute.
    pub(super) fn is_tight(&self) -> bool {
        self.share() > SHARE_MAX
    }

    /// What the quota should be: two digits are enough of a number to ask for.
    pub(super) fn wanted(&self) -> f64 {
        let wanted = self.amount / SHARE_MAX;
        let digits = 10_f64.powf(wanted.log10().floor() - 1.0);
        (wanted / digits).ceil() * digits
    }
}

/// How many can come back in a second: a handshake and a `join` each go through the stage's throttle.
pub(super) fn reconnections(region: &Region) -> f64 {
    NEW_CONNECTIONS
        .min(STAGE_RATE / 2.0)
        .min(region.requests / 2.0)
}

/// What a load takes of each quota.
pub(super) fn demands(load: &Load, region: &Region, flows: &Flows) -> Vec<Demand> {
    use Remedy::{Ask, Change, Instead};
    use Scope::{Account, Room, Stage};
    let demand = |what, amount, quota, scope, remedy| Demand {
        quota: Quota {
            what,
            amount: quota,
            scope,
            remedy,
        },
        amount,
    };
    let handshakes = flows.renewals;
    let smaller = "smaller rooms, or less said in each: no account has more of it";
    vec![
        demand(
            "API Gateway requests /s",
            flows.frames_in + handshakes + flows.posts,
            region.requests,
            Account,
            Ask("API Gateway: Throttle rate (L-8A5B8E43)"),
        ),
        demand(
            "New connections /s",
            handshakes,
            NEW_CONNECTIONS,
            Account,
            Ask(NEW_CONNECTIONS_NAME),
        ),
        demand(
            "Frames and handshakes /s",
            flows.frames_in + handshakes,
            STAGE_RATE,
            Stage,
            Change(STAGE_RATE_NAME),
        ),
        demand(
            "Lambda concurrency",
            flows.concurrency,
            CONCURRENCY,
            Account,
            Ask("Lambda: Concurrent executions (L-B99A9384)"),
        ),
        demand(
            "DynamoDB reads /s, table",
            flows.reads,
            TABLE_UNITS,
            Account,
            Ask("DynamoDB: Table-level read throughput limit"),
        ),
        demand(
            "DynamoDB writes /s, table",
            flows.writes,
            TABLE_UNITS,
            Account,
            Ask("DynamoDB: Table-level write throughput limit"),
        ),
        demand(
            "DynamoDB reads /s, a room",
            flows.room_reads,
            PARTITION_READS,
            Room,
            Instead(smaller),
        ),
        demand(
            "DynamoDB writes /s, a room",
            flows.room_writes,
            PARTITION_WRITES,
            Room,
            Instead(smaller),
        ),
        demand(
            "Messages /s in order, a room",
            flows.room_rate,
            1000.0 / DATABASE_MS,
            Room,
            Instead("a room's messages are written one after another: say less in each room"),
        ),
        demand(
            "To a room's last member, s",
            (LATENCY_FLOOR_MS - POST_MS + flows.broadcast_ms) / 1000.0,
            ANSWER_S,
            Room,
            Instead("smaller rooms; in one of this size a message does not get to all in time"),
        ),
    ]
    .into_iter()
    .filter(|it| load.room_size > 1 || it.quota.scope != Room)
    .collect()
}
