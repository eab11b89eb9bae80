//! AWS's prices, in one place, and the sum of them. `us-east-1`, on demand, without the free tier and
//! without the discount for more than a billion messages a month.

/// Of when they are: `DynamoDB`'s were halved on 1 November 2024, the others have stood since before.
pub(super) const LIST: &str = "us-east-1, on demand, as published since 1 November 2024";

/// A WebSocket message of up to 32 KB, in either direction.
const MESSAGE: f64 = 1.00e-6;
/// A connection, for a minute.
pub(super) const CONNECTION_MINUTE: f64 = 0.25e-6;
/// An invocation.
const INVOCATION: f64 = 0.20e-6;
/// A GB of memory for a second, on `x86_64`.
const GB_SECOND: f64 = 0.000_016_666_7;
/// A read request unit.
const READ_UNIT: f64 = 0.125e-6;
/// A write request unit.
const WRITE_UNIT: f64 = 0.625e-6;
/// What the template gives a function, GB.
const MEMORY_GB: f64 = 0.25;

/// What one message that somebody says consumes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// Members of the room, the sender included.
    pub(super) members: f64,
    pub(super) read_units: f64,
    pub(super) write_units: f64,
    /// Calls of `@connections`.
    pub(super) posts: f64,
    /// Frames that reach a client without such a call: a function's answer.
    pub(super) answers: f64,
    /// For which Lambda bills.
    pub(super) lambda_ms: f64,
}

/// Dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bill {
    pub(super) gateway: f64,
    pub(super) lambda: f64,
    pub(super) database: f64,
}

impl Usage {
    /// What a million messages cost, each delivered to one member: the more members hear one that is
    /// said, the less its own part weighs.
    pub(super) fn bill_of_a_million_delivered(&self) -> Bill {
        let delivered = (self.posts + self.answers).max(1.0);
        let times = 1e6 / delivered;
        // What comes in is metered as well.
        let frames = 1.0 + self.posts + self.answers;
        let seconds = self.lambda_ms.ceil() / 1000.0;
        Bill {
            gateway: times * frames * MESSAGE,
            lambda: times * (INVOCATION + seconds * MEMORY_GB * GB_SECOND),
            database: times * (self.read_units * READ_UNIT + self.write_units * WRITE_UNIT),
        }
    }
}

impl Bill {
    pub(super) fn sum(&self) -> f64 {
        self.gateway + self.lambda + self.database
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_the_sum_of_what_each_service_charges() {
        let usage = Usage {
            members: 2.0,
            read_units: 2.0,
            write_units: 2.0,
            posts: 1.0,
            answers: 1.0,
            lambda_ms: 19.2,
        };
        let bill = usage.bill_of_a_million_delivered();
        // Half a million are said: three frames each, an invocation of 20 ms at 256 MB, 2 and 2 units.
        assert!((bill.gateway - 1.5).abs() < 1e-9, "{bill:?}");
        assert!(
            (bill.lambda - (0.1 + 0.041_666_75)).abs() < 1e-9,
            "{bill:?}"
        );
        assert!((bill.database - (0.125 + 0.625)).abs() < 1e-9, "{bill:?}");
        assert!((bill.sum() - 2.391_666_75).abs() < 1e-9, "{bill:?}");
    }

    /// `chatctl plan` has a list of its own, for the two are programs that share no library.
    #[test]
    fn the_deployers_prices_are_the_same() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../deployer/src/plan/prices.rs"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            return;
        };
        for (what, price) in [
            ("CONNECTION_MINUTE", CONNECTION_MINUTE),
            ("INVOCATION", INVOCATION),
            ("GB_SECOND", GB_SECOND),
            ("READ", READ_UNIT),
            ("WRITE", WRITE_UNIT),
        ] {
            let start = format!("const {what}: f64 = ");
            let theirs = text.lines().find_map(|line| line.strip_prefix(&start));
            let theirs = theirs.unwrap_or_else(|| panic!("`{what}` in {path}"));
            let theirs = theirs.trim_end_matches(';').replace('_', "");
            let theirs = match theirs.strip_suffix(" / MILLION") {
                Some(millions) => millions.parse::<f64>().unwrap() / 1e6,
                None => theirs.parse().unwrap(),
            };
            assert!(
                (theirs - price).abs() < 1e-12,
                "{what}: {theirs} and {price}"
            );
        }
    }
}
