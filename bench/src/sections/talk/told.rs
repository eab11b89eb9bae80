//! The figures of all servers as tables, goals and a plot. Pure.

use super::figures::{Figures, SATURATED_ROOM};
use super::profile::{Profile, What};
use super::server::Peer;
use crate::result::{Cell, Findings, Goal, Line, Plot, Row, Table};
use crate::statistics::{Summary, fitted, readable};

const ABOUT: [&str; 3] = [
    "`chatctl dev --release` beside serverless-offline 13.9.0 (serverless 3.40.0, dynalite 4.0.0) with a room chat in \
     Node that does what the room sample's README describes, MiniStack with the very template and \
     `bootstrap` of chatctl, and a bare axum server that keeps rooms in memory and hands messages on: the \
     ceiling. chatctl stores and numbers each message before anybody gets it; the Node chat and the \
     ceiling store none.",
    "The clients are the same for all, on one thread of the benchmark's own process, and take time from \
     the servers: the ceiling tells how fast they are themselves. Each message is 100 characters long and \
     says its room, as those of chatctl's page do. Who speaks does not count as a receiver. A message counts as heard once all the others in the room \
     have it, each receipt is counted, and what is missing after 20 seconds is lost.",
    "*One way* is from a message's sending by one of two to its receipt by the other; *there and back* is \
     the other's answer to it as well.",
];

/// What was found.
pub(super) fn told(all: &[(Peer, Figures)], is_quick: bool, blank: Findings) -> Findings {
    let of = |peer: Peer| all.iter().find(|it| it.0 == peer).map(|it| &it.1);
    let mut notes = notes(all);
    if let (false, Some(ceiling)) = (is_quick, of(Peer::Ceiling)) {
        notes.insert(0, format!(
            "The clients take at least {} messages a second: that is what they took from the ceiling.",
            readable(ceiling.saturation.rate.median)
        ));
    }
    let mut tables = vec![
        pairs(all),
        rooms_compared(all),
        rooms(all),
        joins(all),
        rates(all),
        memory(all),
        processor(all),
    ];
    let own = of(Peer::Chatctl).and_then(|it| it.saturation.profile.as_ref());
    tables.extend(own.map(profile));
    Findings {
        about: ABOUT.map(str::to_owned).to_vec(),
        goals: goals(of(Peer::Chatctl), of(Peer::Offline)),
        tables,
        plots: vec![plot(all)],
        losses: all.iter().map(|it| it.1.losses).sum(),
        notes,
        ..blank
    }
}

fn goals(chatctl: Option<&Figures>, offline: Option<&Figures>) -> Vec<Goal> {
    let Some(chatctl) = chatctl else {
        return Vec::new();
    };
    let one_way = chatctl.pair.one_way_p50.median;
    let mut goals = vec![Goal {
        what: "a message from one to the other, p50".to_owned(),
        goal: "below 1.5 ms".to_owned(),
        measured: format!("{} ms", readable(one_way)),
        is_met: one_way < 1.5,
        why_not: (one_way >= 1.5).then(|| {
            "two processes and the table take part in each message; see the processor's time below"
                .to_owned()
        }),
    }];
    if let Some(room) = chatctl.rooms.iter().find(|it| it.size == 1_000) {
        let last = room.last.median;
        let [gateway, functions, clients] = room.processor.map(readable);
        goals.push(Goal {
            what: "a room of 1,000, last receipt".to_owned(),
            goal: "below 60 ms".to_owned(),
            measured: format!("{} ms", readable(last)),
            is_met: last < 60.0,
            why_not: (last >= 60.0).then(|| {
                format!(
                    "of processor time a message takes {gateway} ms in the gateway, {functions} ms in \
                     the functions, which post to one member after the other over HTTP as they do on \
                     AWS, and {clients} ms in the clients"
                )
            }),
        });
    }
    if let Some(offline) = offline {
        let ratio = chatctl.saturation.rate.median / offline.saturation.rate.median;
        goals.push(Goal {
            what: "deliveries a second, beside serverless-offline".to_owned(),
            goal: "20 times as many".to_owned(),
            measured: format!("{} times", readable(ratio)),
            is_met: ratio >= 20.0,
            why_not: (ratio < 20.0).then(|| why_no_more_deliveries(chatctl)),
        });
    }
    goals
}

/// Of the room that servers are driven to their limit in.
fn why_no_more_deliveries(chatctl: &Figures) -> String {
    let saturation = &chatctl.saturation;
    let busy: f64 = saturation.processor.iter().sum::<f64>() * saturation.rate.median / 1e6;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let [gateway, functions, clients] = saturation.processor.map(readable);
    let busy = readable(busy);
    format!(
        "each delivery is a call of `@connections` by the function, over HTTP as on AWS, which takes \
         {functions} µs of processor time in the functions, {gateway} µs in the gateway and {clients} µs in the \
         clients; together that is {busy} of {processors} processors all the time. The ceiling hands a message on within its \
         own memory: what lies between the two is one signed HTTP request and its answer for each receiver, \
         which a chat on AWS has to make as well"
    )
}

/// Of the processors' time while as much is delivered as can be.
fn profile(profile: &Profile) -> Table {
    let columns: Vec<&str> = std::iter::once("of all")
        .chain(What::ALL.map(What::name))
        .collect();
    let rows = profile.who().into_iter().map(|who| {
        let share = |what| number(f64::from(profile.percent(who, what)), "%");
        let shares = What::ALL.map(|what| share(Some(what)));
        Row {
            name: who.name().to_owned(),
            cells: std::iter::once(share(None)).chain(shares).collect(),
        }
    });
    let title = format!(
        "Where the processors' time goes when chatctl delivers as much as it can in a room of {SATURATED_ROOM}, and \
         what each spends its own on, by `perf`"
    );
    table(&title, &columns, rows.collect())
}

fn table(title: &str, columns: &[&str], rows: Vec<Row>) -> Table {
    let columns = std::iter::once(&"").chain(columns);
    Table {
        title: title.to_owned(),
        columns: columns.map(|it| (*it).to_owned()).collect(),
        rows,
    }
}

fn rows(all: &[(Peer, Figures)], cells: impl Fn(&Figures) -> Vec<Cell>) -> Vec<Row> {
    let row = |(peer, figures): &(Peer, Figures)| Row {
        name: peer.name().to_owned(),
        cells: cells(figures),
    };
    all.iter().map(row).collect()
}

fn number(value: f64, unit: &str) -> Cell {
    Cell::Number {
        value,
        unit: unit.to_owned(),
    }
}

/// How much more or less than chatctl's own, which comes first.
fn ratio(all: &[(Peer, Figures)], value: f64, of: impl Fn(&Figures) -> Option<f64>) -> Cell {
    let own = all.iter().find(|it| it.0 == Peer::Chatctl);
    let own = own.and_then(|it| of(&it.1)).filter(|own| *own > 0.0);
    own.map_or(Cell::None, |own| Cell::Ratio(value / own))
}

fn figure(summary: Summary, unit: &str) -> Cell {
    Cell::Figure {
        summary,
        unit: unit.to_owned(),
    }
}

fn pairs(all: &[(Peer, Figures)]) -> Table {
    let columns = [
        "beside chatctl",
        "one way, p50",
        "p99",
        "there and back, p50",
        "p99",
        "messages",
    ];
    let rows = rows(all, |it| {
        let pair = &it.pair;
        let p50 = pair.one_way_p50.median;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let messages = pair.messages as f64;
        vec![
            ratio(all, p50, |it| Some(it.pair.one_way_p50.median)),
            figure(pair.one_way_p50, "ms"),
            number(pair.one_way_p99, "ms"),
            figure(pair.round_p50, "ms"),
            number(pair.round_p99, "ms"),
            number(messages, ""),
        ]
    });
    table("Two who talk", &columns, rows)
}

fn sizes(all: &[(Peer, Figures)]) -> Vec<usize> {
    let mut sizes: Vec<usize> = all
        .iter()
        .flat_map(|it| it.1.rooms.iter().map(|room| room.size))
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// A cell for each size, of those who have such a room.
fn rooms_by_size(
    title: &str,
    all: &[(Peer, Figures)],
    more: &[&str],
    cells: impl Fn(&Figures, &dyn Fn(&Figures, usize) -> Option<Summary>, &[usize]) -> Vec<Cell>,
) -> Table {
    let sizes = sizes(all);
    let last = |it: &Figures, size| {
        let room = it.rooms.iter().find(|room| room.size == size);
        room.map(|room| room.last)
    };
    let heads = sizes.iter().map(|size| {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let members = readable(*size as f64);
        format!("{members} members")
    });
    let heads: Vec<String> = heads.chain(more.iter().map(ToString::to_string)).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    table(title, &heads, rows(all, |it| cells(it, &last, &sizes)))
}

fn rooms_compared(all: &[(Peer, Figures)]) -> Table {
    let title = "Until the last one in a room has heard a message, beside chatctl";
    rooms_by_size(title, all, &[], |it, last, sizes| {
        let compared = |size: &usize| {
            last(it, *size).map_or(Cell::None, |summary| {
                ratio(all, summary.median, |own| {
                    last(own, *size).map(|own| own.median)
                })
            })
        };
        sizes.iter().map(compared).collect()
    })
}

fn rooms(all: &[(Peer, Figures)]) -> Table {
    let title = "Until the last one in a room has heard a message";
    rooms_by_size(title, all, &["growth"], |it, last, sizes| {
        let cells = sizes
            .iter()
            .map(|size| last(it, *size).map_or(Cell::None, |summary| figure(summary, "ms")));
        let exponent = fitted("n", &points(it)).map_or(Cell::None, Cell::Text);
        cells.chain([exponent]).collect()
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn points(figures: &Figures) -> Vec<(f64, f64)> {
    let rooms = figures.rooms.iter();
    rooms
        .map(|room| (room.size as f64, room.last.median))
        .collect()
}

/// As many as eight at a time can, between the size before and this one.
fn joins(all: &[(Peer, Figures)]) -> Table {
    let title = "Members that come into a room in a second, on the way to so many";
    rooms_by_size(title, all, &[], |it, _, sizes| {
        let each = |size: &usize| {
            let room = it.rooms.iter().find(|room| room.size == *size);
            room.map_or(Cell::None, |room| number(room.joins_a_second, "/s"))
        };
        sizes.iter().map(each).collect()
    })
}

fn rates(all: &[(Peer, Figures)]) -> Table {
    let columns = [
        "beside chatctl",
        "deliveries a second",
        "who speak at once",
        "with others at once, a second",
        "processor time of each: the server's first process",
        "its other processes",
        "the clients",
    ];
    let rows = rows(all, |it| {
        let saturation = &it.saturation;
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let speakers = saturation.speakers as f64;
        let mut cells = vec![
            ratio(all, saturation.rate.median, |own| {
                Some(own.saturation.rate.median)
            }),
            figure(saturation.rate, "/s"),
            number(speakers, ""),
            Cell::Text(tried(&saturation.tried)),
        ];
        cells.extend(saturation.processor.map(|it| number(it, "µs")));
        cells
    });
    let title = format!("As much as each can, in a room of {SATURATED_ROOM}");
    table(&title, &columns, rows)
}

/// Numbers of speakers, each with what they came to.
fn tried(rates: &[(usize, f64)]) -> String {
    let rates = rates
        .iter()
        .map(|(speakers, rate)| format!("{speakers}: {}", readable(*rate)));
    rates.collect::<Vec<_>>().join("; ")
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn memory(all: &[(Peer, Figures)]) -> Table {
    let columns = [
        "beside chatctl",
        "each connection",
        "connections",
        "all processes before",
    ];
    let rows = rows(all, |it| {
        let memory = &it.memory;
        vec![
            ratio(all, memory.each, |own| Some(own.memory.each)),
            number(memory.each / 1024.0, "KiB"),
            number(memory.connections as f64, ""),
            number(memory.before as f64 / 1024.0 / 1024.0, "MiB"),
        ]
    });
    table("What idle connections weigh", &columns, rows)
}

fn processor(all: &[(Peer, Figures)]) -> Table {
    let columns = [
        "members",
        "the server's first process",
        "its other processes",
        "the clients",
    ];
    let rows = all.iter().flat_map(|(peer, figures)| {
        figures.rooms.iter().map(|room| {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            let members = number(room.size as f64, "");
            let times = room.processor.map(|it| number(it, "ms"));
            Row {
                name: peer.name().to_owned(),
                cells: [members].into_iter().chain(times).collect(),
            }
        })
    });
    table(
        "Where the processors' time goes, for a message to the whole room",
        &columns,
        rows.collect(),
    )
}

fn plot(all: &[(Peer, Figures)]) -> Plot {
    let line = |(peer, figures): &(Peer, Figures)| Line {
        name: peer.name().to_owned(),
        points: points(figures),
    };
    Plot {
        name: "talk-rooms".to_owned(),
        title: "Until the last one has heard a message".to_owned(),
        x: "members of the room".to_owned(),
        y: "ms".to_owned(),
        is_logarithmic: true,
        lines: all.iter().map(line).collect(),
    }
}

fn notes(all: &[(Peer, Figures)]) -> Vec<String> {
    let mut notes = vec![
        "*growth* is the exponent that fits all rooms best, where there are four or more: 1 is linear, and what \
         is worse bends upwards in the plot, where linear is a straight line of slope 1."
            .to_owned(),
    ];
    for (peer, figures) in all {
        let name = peer.name();
        if let Some(size) = figures.too_large {
            notes.push(format!(
                "{name}: no more rooms from {size} members on, who take too long to join."
            ));
        }
        if figures.losses > 0 || figures.repeats > 0 {
            notes.push(format!(
                "{name}: {} messages lost, {} heard twice.",
                figures.losses, figures.repeats
            ));
        }
        if !figures.complaints.is_empty() {
            let complaints = figures.complaints.join("`, `");
            notes.push(format!("{name} complained: `{complaints}`."));
        }
    }
    notes
}
