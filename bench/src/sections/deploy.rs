//! Deploys, from the client's side: how long a client takes, how much memory it holds, and how often it
//! asks AWS, for the same tasks with the same template.
//!
//! # Layout
//!
//! - `deploy.rs`: the rounds, and what is told of them.
//! - `deploy/cloud.rs`: the AWS of a round.
//! - `deploy/tools.rs`: the clients and their command lines.
//! - `deploy/growth.rs`: deploys of ever larger pages.

mod cloud;
mod growth;
mod tools;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::BenchError;
use crate::process;
use crate::result::{Cell, Findings, Goal, Row, Table};
use crate::section::Context;
use crate::statistics::{Summary, readable};
use cloud::Cloud;
use tools::{Kit, Task, Tool};

/// In the order in which they are done.
const TASKS: [(Task, &str); 6] = [
    (Task::Start, "Start-up: `--version`"),
    (Task::First, "First deploy"),
    (Task::Nothing, "Nothing to do"),
    (
        Task::NothingButVerify,
        "Nothing to do, and the chat tried all the same (`--verify`)",
    ),
    (Task::Code, "Code-only change"),
    (Task::Destroy, "Destroy"),
];

/// How much faster than the fastest peer chatctl is to find that there is nothing to do.
const GOAL: f64 = 5.0;

/// # Errors
/// What stopped it.
pub(crate) fn measure(context: &Context, blank: Findings) -> Result<Findings, BenchError> {
    let kit = Kit::new(context)?;
    let mut figures = Figures::default();
    for round in 0..context.runs(3, 1) {
        for tool in Tool::ALL {
            crate::tell(&format!("    round {}: {}", round + 1, tool.name()));
            let life = life(&kit, tool)?;
            for (task, run, operations) in life {
                figures.add(tool, task, run, &operations);
            }
        }
    }
    let (table, plots, growth_goal) = growth::measure(context, &kit)?;
    let tables = TASKS.into_iter().map(|task| figures.table(task));
    Ok(Findings {
        about: about(),
        goals: figures.goals().into_iter().chain([growth_goal]).collect(),
        tables: tables.chain([table]).collect(),
        plots,
        notes: notes(),
        ..blank
    })
}

/// A stack's whole life, in an account of its own.
fn life(kit: &Kit, tool: Tool) -> Result<Vec<(Task, process::Run, Vec<String>)>, BenchError> {
    let mut life = Vec::new();
    let cloud = Cloud::start()?;
    cloud.bucket_with(&kit.laid_out_for(tool));
    for (task, name) in TASKS {
        let Some(mut command) = kit.command(tool, task, &cloud) else {
            continue;
        };
        // The AWS CLI calls its change sets by the second: two within one second meet each other.
        std::thread::sleep(Duration::from_millis(1_100));
        let before = cloud.calls();
        let run = process::watch(&mut command)?;
        let operations = cloud.operations_after(before);
        let executed = operations.iter().filter(|it| is_a_change(it)).count();
        let is_as_meant = match task {
            Task::Start => operations.is_empty(),
            Task::First | Task::Code | Task::Destroy => executed > 0,
            Task::Nothing | Task::NothingButVerify => executed == 0,
        };
        if !is_as_meant {
            return Err(BenchError::Measurement(format!(
                "{name} with {} was something else: {}",
                tool.name(),
                operations.join(", ")
            )));
        }
        life.push((task, run, operations));
    }
    Ok(life)
}

/// Whether a call has CloudFormation change something.
fn is_a_change(operation: &str) -> bool {
    let changes = [
        "CreateStack",
        "UpdateStack",
        "DeleteStack",
        "ExecuteChangeSet",
    ];
    let name = operation.strip_prefix("cloudformation:");
    name.is_some_and(|it| changes.contains(&it))
}

/// What was measured, of each client and task.
#[derive(Debug, Default)]
struct Figures(BTreeMap<(&'static str, &'static str), Figure>);

#[derive(Debug, Default)]
struct Figure {
    seconds: Vec<f64>,
    megabytes: Vec<f64>,
    calls: Vec<f64>,
    operations: Vec<String>,
}

impl Figures {
    fn add(&mut self, tool: Tool, task: Task, run: process::Run, operations: &[String]) {
        let figure = self.0.entry((tool.name(), key(task))).or_default();
        figure.seconds.push(run.wall.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "neither comes near 2^52")]
        {
            let megabytes = run.peak_memory.map(|it| it as f64 / 1e6);
            figure.megabytes.extend(megabytes);
            figure.calls.push(operations.len() as f64);
        }
        figure.operations = operations.to_vec();
    }

    fn median(&self, tool: Tool, task: Task, of: fn(&Figure) -> &[f64]) -> Option<f64> {
        let figure = self.0.get(&(tool.name(), key(task)))?;
        Summary::of(of(figure)).map(|it| it.median)
    }

    /// The least of all peers.
    fn best_peer(&self, task: Task, of: fn(&Figure) -> &[f64]) -> Option<(Tool, f64)> {
        let peers = Tool::ALL.into_iter().filter(|it| *it != Tool::Chatctl);
        peers
            .filter_map(|tool| Some((tool, self.median(tool, task, of)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn table(&self, (task, title): (Task, &str)) -> Table {
        let ours = self.median(Tool::Chatctl, task, |it| &it.seconds);
        let rows = Tool::ALL.into_iter().filter_map(|tool| {
            let figure = self.0.get(&(tool.name(), key(task)))?;
            let seconds = Summary::of(&figure.seconds)?;
            Some(Row {
                name: tool.name().to_owned(),
                cells: vec![
                    ours.map_or(Cell::None, |ours| Cell::Ratio(seconds.median / ours)),
                    several(&figure.seconds, "s"),
                    several(&figure.megabytes, "MB"),
                    several(&figure.calls, ""),
                ],
            })
        });
        Table {
            title: title.to_owned(),
            columns: ["", "beside chatctl", "time", "peak memory", "calls of AWS"]
                .map(str::to_owned)
                .into(),
            rows: rows.collect(),
        }
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        let seconds: fn(&Figure) -> &[f64] = |it| &it.seconds;
        let calls: fn(&Figure) -> &[f64] = |it| &it.calls;
        let ours = self.median(Tool::Chatctl, Task::Nothing, seconds);
        if let (Some(ours), Some((peer, theirs))) = (ours, self.best_peer(Task::Nothing, seconds)) {
            let ratio = theirs / ours;
            goals.push(Goal {
                what: "nothing to do, page and verification included, beside the fastest peer"
                    .to_owned(),
                goal: format!("{} times faster", readable(GOAL)),
                measured: format!(
                    "{} times: {} s, {} takes {} s",
                    readable(ratio),
                    readable(ours),
                    peer.name(),
                    readable(theirs)
                ),
                is_met: ratio >= GOAL,
                why_not: (ratio < GOAL).then(|| self.why_no_faster(ours)),
            });
        }
        let ours = self.median(Tool::Chatctl, Task::Nothing, calls);
        if let (Some(ours), Some((peer, theirs))) = (ours, self.best_peer(Task::Nothing, calls)) {
            let is_met = ours <= theirs;
            goals.push(Goal {
                what: "calls of AWS with nothing to do".to_owned(),
                goal: "fewest of all".to_owned(),
                measured: format!(
                    "{}; {} has {}",
                    readable(ours),
                    peer.name(),
                    readable(theirs)
                ),
                is_met,
                why_not: (!is_met).then(|| self.why_more_calls()),
            });
        }
        goals
    }

    /// What is left of it.
    fn why_no_faster(&self, ours: f64) -> String {
        let start = self.median(Tool::Chatctl, Task::Start, |it| &it.seconds);
        let calls = self.median(Tool::Chatctl, Task::Nothing, |it| &it.calls);
        let (start, calls) = (start.unwrap_or_default(), calls.unwrap_or_default());
        format!(
            "of {} s chatctl itself needs {} s to start and some milliseconds to read and digest the program; \
             the rest is {} calls and a look at the page's configuration, in two turns, over a connection to \
             each of four hosts, which one thread of MiniStack's serves one after the other",
            readable(ours),
            readable(start),
            readable(calls)
        )
    }

    /// What chatctl asks for that peers do not look at.
    fn why_more_calls(&self) -> String {
        let asked = self
            .0
            .get(&(Tool::Chatctl.name(), key(Task::Nothing)))
            .map(|it| it.operations.join("`, `"))
            .unwrap_or_default();
        let with_page = self.median(Tool::AwsAndPage, Task::Nothing, |it| &it.calls);
        format!(
            "chatctl asks for `{asked}`: the stack and that of its packages, what each function runs, and what \
             the page's bucket holds. That peer has CloudFormation compare the stack, and looks at neither \
             functions, packages nor page, which can be other than the stack says; {} asks for {}",
            Tool::AwsAndPage.name(),
            with_page.map_or_else(|| "what it was not run for".to_owned(), readable)
        )
    }
}

/// One that can be ordered; the names of tasks are as good as any.
fn key(task: Task) -> &'static str {
    let found = TASKS.iter().find(|(it, _)| *it == task);
    found.map_or("", |(_, name)| name)
}

/// A count that is the same in all runs is told as such.
fn several(values: &[f64], unit: &str) -> Cell {
    match Summary::of(values) {
        None => Cell::None,
        Some(it) if (it.high - it.low).abs() < f64::EPSILON => Cell::Number {
            value: it.median,
            unit: unit.to_owned(),
        },
        Some(summary) => Cell::Figure {
            summary,
            unit: unit.to_owned(),
        },
    }
}

fn about() -> Vec<String> {
    vec![
        "**Not how long AWS takes.** All clients deploy to MiniStack, which has a stack up in no time. What \
         is measured is the client's own part: its start, its work, its waiting from one look at the stack to \
         the next. On AWS the minutes that CloudFront and the others take come on top, for all alike."
            .to_owned(),
        format!(
            "chatctl beside {}: the template that `chatctl synth` prints, the same two packages, an empty \
             account for each life of a stack, AWS's own host names over TLS through one proxy. Calls are \
             counted where they arrive: all that bear the client's signature. Memory is that of the client's \
             process and all its children.",
            tools::VERSIONS
        ),
    ]
}

fn notes() -> Vec<String> {
    vec![
        "What each does: chatctl packs the program, uploads it, looks at stack, functions and page, changes \
         what differs, publishes the page and talks to the finished chat through two sockets. “Stack alone” \
         finds its package in a bucket and leaves the page out. “With package and page” adds `aws s3 cp` \
         (where the package is new) and `aws s3 sync`; it neither writes the page's configuration nor tries \
         the chat, and CloudFront goes on showing the old page. CDK is given a finished assembly, so no \
         program of its user's is run, and finds the template in the bucket as well: it would send it as YAML of \
         its own, which is more than a request takes, and where an account is not prepared for that (`cdk \
         bootstrap`) there is nowhere to put it. That spares it the upload. SAM uploads the template itself, and \
         looks at the stack every 0.5 s (`SAM_CLI_POLL_DELAY`; 5 s unless \
         it is told so)."
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(ms: u64) -> process::Run {
        process::Run {
            wall: Duration::from_millis(ms),
            peak_memory: Some(20_000_000),
        }
    }

    fn figures(ours_ms: u64, our_calls: usize) -> Figures {
        let mut figures = Figures::default();
        let calls = |count| vec!["cloudformation:DescribeStacks".to_owned(); count];
        figures.add(
            Tool::Chatctl,
            Task::Nothing,
            run(ours_ms),
            &calls(our_calls),
        );
        figures.add(Tool::Aws, Task::Nothing, run(1000), &calls(3));
        figures.add(Tool::Cdk, Task::Nothing, run(4000), &calls(9));
        figures
    }

    #[test]
    fn chatctl_is_compared_with_the_best_of_the_peers() {
        let goals = figures(100, 3).goals();
        assert!(goals.iter().all(|it| it.is_met), "{goals:?}");
        assert!(goals[0].measured.contains("AWS CLI"), "{goals:?}");
        let goals = figures(250, 4).goals();
        assert!(goals.iter().all(|it| !it.is_met), "{goals:?}");
        let why = goals[1].why_not.as_deref().unwrap();
        assert!(why.contains("DescribeStacks"), "{why}");
        let why = goals[0].why_not.as_deref().unwrap();
        assert!(why.contains("0.25 s") && why.contains("4 calls"), "{why}");
    }

    #[test]
    fn a_table_tells_how_many_times_as_long_each_takes() {
        let table = figures(100, 3).table((Task::Nothing, "Nothing"));
        let shown: Vec<String> = table
            .rows
            .iter()
            .map(|it| it.cells[0].to_string())
            .collect();
        assert_eq!(shown, ["1 ×", "10 ×", "40 ×"]);
        assert!(figures(1, 1).table((Task::Code, "Code")).rows.is_empty());
    }

    #[test]
    fn only_what_has_cloudformation_at_work_is_a_change() {
        assert!(is_a_change("cloudformation:ExecuteChangeSet"));
        for harmless in [
            "cloudformation:CreateChangeSet",
            "cloudformation:DescribeStacks",
            "s3:DeleteStack",
        ] {
            assert!(!is_a_change(harmless), "{harmless}");
        }
    }
}
