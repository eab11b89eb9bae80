//! What a load needs of AWS, and what it costs there: quotas, prices and arithmetic, without any
//! effect. Nothing here has been measured on AWS itself; each figure says where it is from.
//!
//! # Layout
//! - `plan.rs`: the plan as a whole.
//! - `figures.rs`: what one message, ping and join take, with the source of each figure.
//! - `flows.rs`: how many of them there are a second.
//! - `quotas.rs`: what AWS allows, and what of it can be raised.
//! - `prices.rs`: what AWS charges.
//! - `report.rs`: the plan for people and for programs.

mod figures;
mod flows;
mod prices;
mod quotas;
mod report;
#[cfg(test)]
mod tests;

pub(crate) use quotas::{Region, RegionError};

use flows::Flows;
use prices::Cost;
use quotas::Demand;

/// A load that is there all the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    /// Open connections.
    connections: u32,
    /// Members of a room, all rooms being alike.
    room_size: u32,
    /// Messages that are said in a second, in all rooms together.
    rate: f64,
}

/// A load that there cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// Somebody has to be there.
    #[error("`{flag} 0` is nobody")]
    Nobody {
        /// The flag.
        flag: &'static str,
    },
    /// Everyone has one connection and is in one room.
    #[error("`--room-size {room_size}` is more than all of `--connections {connections}`")]
    RoomTooLarge {
        /// The members of a room.
        room_size: u32,
        /// All connections.
        connections: u32,
    },
    /// Neither a number nor a rate.
    #[error("`--rate {0}` is not a number of messages a second")]
    Rate(String),
    /// More than anybody says.
    #[error("`--rate {rate}` is more than {most} messages a second from each of {connections}")]
    TooTalkative {
        /// The rate.
        rate: String,
        /// What each may say.
        most: u32,
        /// Those who are there.
        connections: u32,
    },
}

impl LoadError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Nobody { .. } => "give a number from 1 on",
            Self::RoomTooLarge { .. } => {
                "everyone is in one room: give the members of a room, at most all connections"
            }
            Self::Rate(_) | Self::TooTalkative { .. } => {
                "give what is said in a second in all rooms together, such as `100` or `0.5`; 0 is \
                 a chat where all are silent"
            }
        }
    }
}

/// A person who says more in a second is a program or a mistake.
const RATE_OF_EACH_MAX: u32 = 10;

impl Load {
    /// # Errors
    /// [`LoadError`], if it is nonsense.
    pub(crate) fn new(connections: u32, room_size: u32, rate: f64) -> Result<Self, LoadError> {
        for (flag, number) in [("--connections", connections), ("--room-size", room_size)] {
            if number == 0 {
                return Err(LoadError::Nobody { flag });
            }
        }
        if room_size > connections {
            return Err(LoadError::RoomTooLarge {
                room_size,
                connections,
            });
        }
        if !rate.is_finite() || rate < 0.0 {
            return Err(LoadError::Rate(rate.to_string()));
        }
        if rate > f64::from(RATE_OF_EACH_MAX) * f64::from(connections) {
            return Err(LoadError::TooTalkative {
                rate: rate.to_string(),
                most: RATE_OF_EACH_MAX,
                connections,
            });
        }
        Ok(Self {
            connections,
            room_size,
            rate,
        })
    }

    fn rooms(&self) -> u32 {
        self.connections.div_ceil(self.room_size)
    }
}

/// What a load needs and costs in a Region.
#[derive(Debug)]
pub(crate) struct Plan {
    load: Load,
    region: Region,
    flows: Flows,
    /// Against each quota.
    demands: Vec<Demand>,
    /// By service, a month.
    costs: Vec<Cost>,
    /// From a message's sending to its first receiver, at the least, ms.
    latency_floor_ms: f64,
    /// To its last one.
    last_receiver_ms: f64,
    /// How long it takes for all to be back who lost their connections at once, s.
    reconnect_s: f64,
    /// Accounts with default quotas that it takes; `None` where rooms are the limit, which more
    /// accounts do not help.
    cells: Option<f64>,
}

impl Plan {
    /// Makes the plan.
    pub(crate) fn new(load: Load, region: Region) -> Self {
        let flows = Flows::of(&load, region.requests);
        let demands = quotas::demands(&load, &region, &flows);
        let is_of_rooms = |it: &&Demand| !it.quota.scope.is_split_by_cells();
        let has_large_rooms = demands
            .iter()
            .filter(is_of_rooms)
            .any(|it| it.share() > 1.0);
        let cells = demands
            .iter()
            .filter(|it| it.quota.scope.is_split_by_cells())
            .map(|it| (it.share() / quotas::SHARE_MAX).ceil())
            .fold(1.0, f64::max);
        Self {
            latency_floor_ms: figures::LATENCY_FLOOR_MS,
            last_receiver_ms: figures::LATENCY_FLOOR_MS - figures::POST_MS + flows.broadcast_ms,
            reconnect_s: f64::from(load.connections) / quotas::reconnections(&region),
            cells: (!has_large_rooms).then_some(cells),
            costs: prices::costs(&load, &flows),
            load,
            region,
            demands,
            flows,
        }
    }

    /// A month of it, all services.
    fn total(&self) -> f64 {
        self.costs.iter().map(|it| it.dollars).sum()
    }
}
