//! What AWS charges in us-east-1, without its free tiers. Other Regions are some per cent to some
//! tens of per cent dearer.

use super::Load;
use super::figures::{FRAME_BYTES, HISTORY_DAYS, LOGGED_BYTES, MEMORY_MB, STORED_BYTES};
use super::flows::Flows;

/// Whose prices they are, and of when: DynamoDB's are those since November 2024, the others older.
pub(super) const LIST: &str = "us-east-1, public prices of 2025";

/// Seconds of a month of 730 hours, as AWS's calculator has it.
pub(super) const MONTH_S: f64 = 730.0 * 3600.0;

const MILLION: f64 = 1e6;
const BILLION: f64 = 1e9;
const GB: f64 = 1e9;
const TB: f64 = 1e12;

/// Frames in and out, of up to 32 KB each.
const FRAMES: [Tier; 2] = [
    tier(BILLION, 1.00 / MILLION),
    tier(f64::INFINITY, 0.80 / MILLION),
];
/// A connection for a minute.
const CONNECTION_MINUTE: f64 = 0.25 / MILLION;
/// An invocation.
const INVOCATION: f64 = 0.20 / MILLION;
/// A GB of a function's memory for a second, on `x86_64`.
const GB_SECOND: f64 = 0.000_016_666_7;
/// A read unit, on demand.
const READ: f64 = 0.125 / MILLION;
/// A write unit, on demand.
const WRITE: f64 = 0.625 / MILLION;
/// A byte in the table for a month.
const STORED: f64 = 0.25 / GB;
/// A byte of logs.
const LOGGED: f64 = 0.50 / GB;
/// A byte to the internet.
const TRANSFER: [Tier; 4] = [
    tier(10.0 * TB, 0.09 / GB),
    tier(40.0 * TB, 0.085 / GB),
    tier(100.0 * TB, 0.07 / GB),
    tier(f64::INFINITY, 0.05 / GB),
];

/// The next so many, at this price each.
#[derive(Debug, Clone, Copy)]
struct Tier {
    amount: f64,
    price: f64,
}

const fn tier(amount: f64, price: f64) -> Tier {
    Tier { amount, price }
}

fn tiered(amount: f64, tiers: &[Tier]) -> f64 {
    let mut left = amount;
    let mut sum = 0.0;
    for tier in tiers {
        let taken = left.min(tier.amount);
        sum += taken * tier.price;
        left -= taken;
    }
    sum
}

/// What a service costs in a month.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cost {
    /// The service, and what of it.
    pub(super) what: &'static str,
    /// US dollars.
    pub(super) dollars: f64,
}

/// By service.
pub(super) fn costs(load: &Load, flows: &Flows) -> Vec<Cost> {
    let cost = |what, dollars| Cost { what, dollars };
    let month = |a_second: f64| a_second * MONTH_S;
    let minutes = f64::from(load.connections) * MONTH_S / 60.0;
    let frames = month(flows.frames_in + flows.frames_out);
    let units = month(flows.reads) * READ + month(flows.writes) * WRITE;
    let stored = load.rate * HISTORY_DAYS * 86_400.0 * STORED_BYTES;
    vec![
        cost("API Gateway, frames", tiered(frames, &FRAMES)),
        cost("API Gateway, connections", minutes * CONNECTION_MINUTE),
        cost(
            "Lambda",
            month(flows.invocations) * INVOCATION
                + month(flows.concurrency) * MEMORY_MB / 1024.0 * GB_SECOND,
        ),
        cost("DynamoDB, requests", units),
        cost("DynamoDB, storage", stored * STORED),
        cost(
            "CloudWatch Logs",
            month(flows.invocations) * LOGGED_BYTES * LOGGED,
        ),
        cost(
            "Data transfer out",
            tiered(month(flows.frames_out) * FRAME_BYTES, &TRANSFER),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_a_tier_is_charged_at_the_next_ones_price() {
        let frames = |millions: f64| tiered(millions * MILLION, &FRAMES);
        for (millions, dollars) in [(0.0, 0.0), (1.0, 1.0), (1000.0, 1000.0), (3000.0, 2600.0)] {
            assert!((frames(millions) - dollars).abs() < 1e-6, "{millions}");
        }
    }
}
