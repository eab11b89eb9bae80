//! Many members on a bad day: everything that can go wrong does, all the time, and nothing is lost.
//!
//! `SOAK_MESSAGES` is how many messages are sent, 10,000 unless it says so; `SOAK_SEED` chooses what
//! goes wrong when.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use e2e::chatctl::{self, Dev};
use e2e::client::Client;
use e2e::conversation::{Breach, Counts};
use e2e::member::{Draws, Outcome, Plan, Trace, first_difference, take_part};
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStderr;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const ROOMS: usize = 8;
const MEMBERS: usize = 5;
const MESSAGES: usize = 10_000;

/// All there are. In as many messages, each strikes a dozen times at least.
const FAULTS: [&str; 10] = [
    "gone=0.2%",
    "throttle=1%",
    "server-error=0.5%",
    "lose-disconnect=50%",
    "lose-post=1%",
    "reorder=50ms",
    "cold-start=20ms",
    "crash=1%",
    "db-throttle=0.5%",
    "slow-client=5%",
];

/// How often somebody's connection is in trouble, on average.
const TROUBLE_EVERY: Duration = Duration::from_secs(6);

/// How long a run of as many messages may take at most, however busy the machine is.
const DEADLINE: Duration = Duration::from_mins(20);

fn variable(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(default, |it| it.parse().expect(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_out_of_order_when_everything_goes_wrong_at_once() {
    let (messages, seed) = (
        variable("SOAK_MESSAGES", MESSAGES),
        variable("SOAK_SEED", 1),
    );
    let (soak, dev) = Soak::start(messages, seed).await;
    let since = Instant::now();
    let outcomes = soak.run(soak.plans(messages)).await;
    let talked = since.elapsed();
    let witnesses = soak.run(soak.witnesses(messages)).await;
    let faults = soak.faults();
    for (number, witness) in witnesses.iter().enumerate() {
        let members = &outcomes[number * MEMBERS..][..MEMBERS];
        soak.compare(number, witness, members);
    }
    report(messages, seed, talked, &outcomes, &faults);
    for fault in FAULTS.iter().filter_map(|it| it.split('=').next()) {
        // These two are no events.
        if !["reorder", "cold-start"].contains(&fault) {
            assert!(
                faults.contains_key(fault),
                "`{fault}` never struck: {faults:?}"
            );
        }
    }
    dev.end("TERM").await;
}

struct Soak {
    seed: u64,
    url: String,
    rooms: Vec<String>,
    deadline: Duration,
    faults: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Soak {
    async fn start(messages: usize, seed: usize) -> (Self, Dev) {
        let text = seed.to_string();
        // As packaged, for the time is best spent on messages.
        let _ = chatctl::packaged_bootstrap();
        let mut arguments = vec!["--release", "--seed", &text];
        arguments.extend(FAULTS.iter().flat_map(|fault| ["--fault", fault]));
        let mut dev = Dev::start_with(&arguments, Stdio::piped()).await;
        let faults = Arc::default();
        let logs = dev.take_stderr().expect("a pipe");
        tokio::spawn(count_faults(logs, Arc::clone(&faults)));
        let url = dev.websocket.clone();
        let rooms = join_all((0..ROOMS).map(|_| new_room(&url))).await;
        let times = u32::try_from(messages.div_ceil(MESSAGES)).expect("a number of messages");
        let soak = Self {
            seed: seed.try_into().expect("64 bits"),
            url,
            rooms,
            deadline: DEADLINE * times,
            faults,
        };
        (soak, dev)
    }

    fn faults(&self) -> BTreeMap<String, u64> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.clone()
    }

    /// What each member says, and what is true at last.
    fn plans(&self, messages: usize) -> Vec<Plan> {
        let (share, mut plans) = (messages / ROOMS / MEMBERS, Vec::new());
        let mut draws = Draws::new(self.seed);
        for (number, room) in self.rooms.iter().enumerate() {
            let names: Vec<String> = (0..MEMBERS).map(|it| format!("r{number}m{it}")).collect();
            for name in &names {
                let says = (0..share).map(|count| (format!("{name}-{count}"), text(&mut draws)));
                plans.push(Plan {
                    url: self.url.clone(),
                    room: room.clone(),
                    name: name.clone(),
                    says: says.collect(),
                    total: u64::try_from(share * MEMBERS).expect("64 bits"),
                    roster: Some(names.iter().cloned().collect()),
                    seed: draws.below(u64::MAX),
                    trouble_every: Some(TROUBLE_EVERY),
                });
            }
        }
        plans
    }

    /// One for each room, who comes last and reads all of it.
    fn witnesses(&self, messages: usize) -> Vec<Plan> {
        let mut plans = self.plans(messages);
        let witnesses = plans.drain(..).step_by(MEMBERS);
        let witnesses = witnesses.map(|plan| Plan {
            name: format!("{}-witness", plan.name),
            says: Vec::new(),
            roster: None,
            ..plan
        });
        witnesses.collect()
    }

    /// Lets all take part until all of them lack nothing at the same moment.
    async fn run(&self, plans: Vec<Plan>) -> Vec<Outcome> {
        let settled = Arc::new(watch::Sender::new(BTreeSet::new()));
        let done = watch::Sender::new(false);
        let (mut traces, mut running, count) = (Vec::new(), JoinSet::new(), plans.len());
        for (number, plan) in plans.into_iter().enumerate() {
            let (settled, done, trace) = (Arc::clone(&settled), done.subscribe(), Trace::default());
            traces.push((plan.name.clone(), plan.room.clone(), trace.clone()));
            running.spawn(async move {
                let name = plan.name.clone();
                let outcome = take_part(plan, &settled, done, trace).await;
                (number, name, outcome)
            });
        }
        let mut all = settled.subscribe();
        let mut outcomes: Vec<(usize, Outcome)> = Vec::new();
        let end = timeout(self.deadline, async {
            tokio::select! {
                waited = all.wait_for(|all| all.len() == count) => drop(waited.expect("a sender")),
                Some(ended) = running.join_next() => {
                    let (_, name, outcome) = ended.expect("no panic");
                    let breach = outcome.expect_err("nobody ends before the others");
                    self.fail(&traces, &name, &breach);
                }
            }
            done.send_replace(true);
            while let Some(ended) = running.join_next().await {
                let (number, name, outcome) = ended.expect("no panic");
                match outcome {
                    Ok(outcome) => outcomes.push((number, outcome)),
                    Err(breach) => self.fail(&traces, &name, &breach),
                }
            }
        });
        if end.await.is_err() {
            let settled = settled.borrow().clone();
            let missing = traces.iter().find(|(name, ..)| !settled.contains(name));
            let name = missing.map_or("", |(name, ..)| name);
            let (seconds, there) = (self.deadline.as_secs(), settled.len());
            let what =
                format!("after {seconds} s only {there} of {count} lack nothing, not `{name}`");
            self.fail(&traces, name, &Breach::new(what, []));
        }
        outcomes.sort_by_key(|(number, _)| *number);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// All members of a room have what the witness read, and nothing else was ever said there.
    fn compare(&self, number: usize, witness: &Outcome, members: &[Outcome]) {
        let seed = self.seed;
        let read = witness.conversation.messages();
        let tag = format!("r{number}m");
        for said in read {
            let own = said.id.starts_with(&tag) && said.id.starts_with(&format!("{}-", said.from));
            assert!(own, "seed {seed}: in room {number}: {said:?}");
        }
        for (at, member) in members.iter().enumerate() {
            let name = format!("{tag}{at}");
            let heard = member.conversation.messages();
            let difference = first_difference(heard, read);
            assert_eq!(difference, None, "seed {seed}: `{name}` and the witness");
            let own = read.iter().filter(|it| it.from == name);
            let own: BTreeMap<_, _> = own.map(|it| (it.id.clone(), it.seq)).collect();
            assert_eq!(own, member.answered, "seed {seed}: the answers to `{name}`");
            let counts = member.conversation.counts;
            assert!(counts.live > 0, "seed {seed}: `{name}` got {counts:?}");
        }
    }

    /// Ends the test with what led to it: the newest lines of whom it struck, and whatever the others of
    /// its room have of the same messages.
    fn fail(&self, traces: &[(String, String, Trace)], name: &str, breach: &Breach) -> ! {
        let struck = traces.iter().find(|(it, ..)| it == name);
        let room = struck.map_or("", |(_, room, _)| room);
        let mut history = Vec::new();
        for (other, _, trace) in traces.iter().filter(|(_, it, _)| it == room) {
            if other == name {
                history.extend(trace.lines_about(&[], 25));
            }
            if !breach.about.is_empty() {
                history.extend(trace.lines_about(&breach.about, 10));
            }
        }
        // Each begins with its time.
        history.sort();
        history.dedup();
        let (seed, faults) = (self.seed, self.faults());
        let history = history.join("\n");
        panic!("`{name}` in {room}: {breach}\nSOAK_SEED={seed}, faults {faults:?}\n{history}");
    }
}

/// A text, most often short, sometimes as long as one may be.
fn text(draws: &mut Draws) -> String {
    let chars = match draws.below(40) {
        0 => 4_000,
        1..=4 => 1_000,
        _ => 40,
    };
    let letters = ["a", "é", "世", "🦀", "\"", "\\", "<"];
    let mut text = String::from("-");
    for _ in 0..draws.below(chars) {
        let letter = draws.below(letters.len().try_into().expect("few"));
        text += letters[usize::try_from(letter).expect("few")];
    }
    text
}

/// A room, made by somebody who goes away at once.
async fn new_room(url: &str) -> String {
    loop {
        let Ok(mut client) = Client::try_connect(url).await else {
            continue;
        };
        let create = json!({"type": "create", "name": "host"});
        if client.try_send(&create).await
            && let Ok(Some(joined)) = timeout(Duration::from_secs(10), client.receive()).await
            && let Some(room) = joined["room"].as_str()
        {
            return room.to_owned();
        }
    }
}

async fn count_faults(logs: ChildStderr, faults: Arc<Mutex<BTreeMap<String, u64>>>) {
    let mut lines = BufReader::new(logs).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, fault)) = line.split_once("fault: ") {
            let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
            *faults.entry(fault.trim().to_owned()).or_default() += 1;
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what a long run is for"
)]
fn report(
    messages: usize,
    seed: usize,
    took: Duration,
    outcomes: &[Outcome],
    faults: &BTreeMap<String, u64>,
) {
    let mut happened: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut all, mut least) = (Counts::default(), u64::MAX);
    for outcome in outcomes {
        for (what, times) in &outcome.happened {
            *happened.entry(what).or_default() += times;
        }
        let counts = outcome.conversation.counts;
        least = least.min(counts.live);
        all.live += counts.live;
        all.replies += counts.replies;
        all.recovered += counts.recovered;
        all.again += counts.again;
    }
    println!(
        "{messages} messages, seed {seed}: {:.1} s",
        took.as_secs_f64()
    );
    println!(
        "came first live {}, as the reply {}, recovered {}; once more {}; live to a member at least {least}",
        all.live, all.replies, all.recovered, all.again
    );
    println!("faults: {faults:?}");
    println!("members: {happened:?}");
}
