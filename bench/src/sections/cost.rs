//! What a message costs on AWS, by what it consumes: of our chat as it runs, and of the designs of two
//! samples on the same embedded `DynamoDB`.
//!
//! # Layout
//!
//! - `cost.rs`: what is told of it.
//! - `cost/chat.rs`: our chat, measured; `cost/crowd.rs` who talk, `cost/meter.rs` who counts.
//! - `cost/samples.rs`: the samples' access patterns.
//! - `cost/prices.rs`: AWS's prices. Pure.

mod chat;
mod crowd;
mod meter;
mod prices;
mod samples;

use crate::error::BenchError;
use crate::result::{Cell, Findings, Goal, Line, Plot, Row, Table};
use crate::section::Context;
use crate::statistics::{fitted, growth, readable};
use chat::Message;
use prices::{CONNECTION_MINUTE, LIST, Usage};
use samples::Sample;

const OURS: &str = "chatctl";
/// A call of `DynamoDB` from Lambda in the same Region: AWS promises single-digit milliseconds.
const DATABASE_MS: f64 = 5.0;
/// Calls of `DynamoDB` one after another for a message; what can be asked at once is.
const DATABASE_TURNS: f64 = 3.0;
/// A call of `@connections`.
const POST_MS: f64 = 10.0;
/// As many of these are under way at the same time.
const POSTS_AT_ONCE: f64 = 64.0;
/// Linear, and what rounding to units adds.
const EXPONENT_MAX: f64 = 1.05;

/// One message of one design in a room of one size.
#[derive(Debug, Clone, Copy)]
struct Found {
    design: &'static str,
    usage: Usage,
    /// On this machine; of ours alone.
    measured_ms: Option<f64>,
}

/// # Errors
/// What stopped it.
pub(crate) fn measure(context: &Context, blank: Findings) -> Result<Findings, BenchError> {
    let sizes: &[u32] = if context.is_quick {
        &[2, 10, 30, 100]
    } else {
        &[2, 10, 100, 1_000]
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| BenchError::Measurement(format!("no runtime: {error}")))?;
    let (messages, losses) = runtime.block_on(chat::measure(context, sizes))?;
    let mut found = Vec::new();
    for message in messages {
        found.push(ours(&message));
        for sample in Sample::ALL {
            found.push(of_sample(sample, message.members)?);
        }
    }
    Ok(Findings {
        about: about(),
        goals: vec![goal(&found)],
        tables: vec![consumption(&found), bills(&found)],
        plots: vec![plot(&found)],
        losses,
        notes: notes(),
        ..blank
    })
}

fn ours(message: &Message) -> Found {
    Found {
        design: OURS,
        usage: Usage {
            members: f64::from(message.members),
            read_units: message.read_units,
            write_units: message.write_units,
            posts: message.posts,
            answers: 1.0,
            lambda_ms: lambda_ms(message.posts),
        },
        measured_ms: Some(message.lambda_ms),
    }
}

fn of_sample(sample: Sample, members: u32) -> Result<Found, BenchError> {
    let posts = match sample {
        Sample::Scan => f64::from(members),
        // The others alone.
        Sample::Index => f64::from(members) - 1.0,
    };
    Ok(Found {
        design: sample.name(),
        usage: Usage {
            members: f64::from(members),
            read_units: sample.read_units(members)?,
            write_units: 0.0,
            posts,
            answers: 0.0,
            lambda_ms: lambda_ms(posts),
        },
        measured_ms: None,
    })
}

/// What Lambda would bill: this machine answers far sooner than AWS does.
fn lambda_ms(posts: f64) -> f64 {
    DATABASE_TURNS * DATABASE_MS + (posts / POSTS_AT_ONCE).ceil() * POST_MS
}

fn consumption(found: &[Found]) -> Table {
    let number = |value: f64| Cell::Number {
        value,
        unit: String::new(),
    };
    let ms = |value: f64| Cell::Number {
        value,
        unit: "ms".to_owned(),
    };
    let rows = found.iter().map(|it| Row {
        name: format!("{}: {}", readable(it.usage.members), it.design),
        cells: vec![
            number(it.usage.read_units),
            number(it.usage.write_units),
            number(it.usage.posts),
            it.measured_ms.map_or(Cell::None, ms),
            ms(it.usage.lambda_ms),
        ],
    });
    Table {
        title: "What a message consumes, by the room's members".to_owned(),
        columns: [
            "",
            "read units",
            "write units",
            "calls of `@connections`",
            "Lambda here",
            "Lambda as reckoned for AWS",
        ]
        .map(str::to_owned)
        .into(),
        rows: rows.collect(),
    }
}

fn bills(found: &[Found]) -> Table {
    let dollars = |value: f64| Cell::Text(format!("${value:.3}"));
    let mut ours = f64::NAN;
    let rows = found.iter().map(|it| {
        let bill = it.usage.bill_of_a_million_delivered();
        if it.design == OURS {
            ours = bill.sum();
        }
        Row {
            name: format!("{}: {}", readable(it.usage.members), it.design),
            cells: vec![
                Cell::Ratio(bill.sum() / ours),
                dollars(bill.sum()),
                dollars(bill.gateway),
                dollars(bill.lambda),
                dollars(bill.database),
            ],
        }
    });
    Table {
        title: format!("A million messages delivered ({LIST})"),
        columns: [
            "",
            "beside chatctl",
            "all",
            "API Gateway",
            "Lambda",
            "DynamoDB",
        ]
        .map(str::to_owned)
        .into(),
        rows: rows.collect(),
    }
}

fn plot(found: &[Found]) -> Plot {
    let designs = std::iter::once(OURS).chain(Sample::ALL.map(Sample::name));
    let lines = designs.map(|design| Line {
        name: design.to_owned(),
        points: points(found, design),
    });
    Plot {
        name: "cost-growth".to_owned(),
        title: "DynamoDB for a million messages said".to_owned(),
        x: "members of the room".to_owned(),
        y: "dollars".to_owned(),
        is_logarithmic: true,
        lines: lines.collect(),
    }
}

/// Dollars that `DynamoDB` charges for a million messages said, by the room's members.
fn points(found: &[Found], design: &str) -> Vec<(f64, f64)> {
    let of_design = found.iter().filter(|it| it.design == design);
    of_design
        .map(|it| {
            let heard = it.usage.posts + it.usage.answers;
            let bill = it.usage.bill_of_a_million_delivered();
            (it.usage.members, bill.database * heard.max(1.0))
        })
        .collect()
}

fn goal(found: &[Found]) -> Goal {
    let points = points(found, OURS);
    let last = &points[points.len().saturating_sub(2)..];
    let exponent = growth(last).unwrap_or(f64::INFINITY);
    Goal {
        what: "what DynamoDB charges for a message, against the room's members".to_owned(),
        goal: "linear at most".to_owned(),
        measured: format!(
            "members^{exponent:.2} between the two largest{}",
            fitted("members", &points).map_or_else(String::new, |it| format!(", {it} over all"))
        ),
        is_met: exponent <= EXPONENT_MAX,
        why_not: None,
    }
}

fn about() -> Vec<String> {
    vec![
        "One member of a room says something of 80 characters, under an `id`, and everyone hears it. Units and \
         calls of ours are counted where the packaged functions make them, on the local stack with its \
         embedded DynamoDB, which meters as AWS does; the time is that of the `REPORT` lines of \
         `chatctl dev --release --reports`. The two samples' designs are access patterns of theirs, \
         reimplemented on the same embedded DynamoDB with items as their READMEs imply them: the λ# web chat \
         scans the table of all connections, the room chat gets the sender and queries an index by the \
         room."
            .to_owned(),
        format!(
            "Lambda on AWS is reckoned, for all alike and in the samples' favour, as {DATABASE_TURNS:.0} turns to \
             DynamoDB of {DATABASE_MS:.0} ms and calls of `@connections` of {POST_MS:.0} ms, \
             {POSTS_AT_ONCE:.0} at a time, with 256 MB: this machine answers far sooner than AWS does. A \
             million delivered are the copies of all members, the sender's included where it gets one."
        ),
        format!(
            "Each minute that a connection is open costs ${:.2} a million besides, whatever is said and whichever \
             design it is.",
            CONNECTION_MINUTE * 1e6
        ),
    ]
}

fn notes() -> Vec<String> {
    vec![
        "What ours buys with its units: the samples write nothing, so they have no order, no history, no \
         recovery of what was missed, and nothing that keeps a message sent twice from being heard twice. Our \
         two writes are the message itself at its place and the claim of its `id`; our reads are strongly \
         consistent, so whoever has just come in is never left out, which costs twice an eventually \
         consistent one; our members' records hold who one is across connections, and are larger for it. In \
         a room of any size the deliveries are what is paid for."
            .to_owned(),
        "The λ# web chat has one room: where others talk elsewhere, its every message is read against, and sent \
         to, all connections there are. The room chat does not send the sender a copy."
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(members: u32, read_units: f64) -> Found {
        ours(&Message {
            members,
            read_units,
            write_units: 2.0,
            posts: f64::from(members) - 1.0,
            lambda_ms: 3.0,
        })
    }

    #[test]
    fn a_design_whose_reads_outgrow_the_room_is_seen() {
        let linear = [message(10, 2.0), message(100, 3.0), message(1_000, 18.0)];
        assert!(goal(&linear).is_met, "{:?}", goal(&linear));
        let worse = [message(100, 100.0), message(1_000, 10_000.0)];
        assert!(!goal(&worse).is_met, "{:?}", goal(&worse));
    }

    #[test]
    fn designs_are_compared_within_a_room_of_one_size() {
        let small = of_sample(Sample::Scan, 2).unwrap();
        let table = bills(&[message(2, 2.0), small, message(1_000, 18.0)]);
        let ratio = |row: usize| match table.rows[row].cells[0] {
            Cell::Ratio(ratio) => ratio,
            _ => f64::NAN,
        };
        assert!((ratio(0) - 1.0).abs() < 1e-9);
        assert!(ratio(1) < 1.0, "it writes nothing");
        assert!((ratio(2) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn posts_go_out_64_at_a_time() {
        for (posts, ms) in [
            (0.0, 15.0),
            (1.0, 25.0),
            (64.0, 25.0),
            (65.0, 35.0),
            (999.0, 175.0),
        ] {
            assert!((lambda_ms(posts) - ms).abs() < 1e-9, "{posts}");
        }
    }
}
