//! Where the processors' time goes while a server does as much as it can: samples of the whole machine by
//! Linux's `perf`, told apart by who ran and what of it. Where there is no `perf`, or it may not look, there
//! is no profile.
//!
//! The functions' program is packaged without symbols: where there is `perf` it is built with them here, which
//! changes nothing of how it runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What has cargo leave the functions' program its symbols.
pub(super) const WITH_SYMBOLS: (&str, &str) = ("CARGO_PROFILE_LAMBDA_STRIP", "none");

/// Whether there is `perf`.
pub(super) fn is_there() -> bool {
    let perf = Command::new("perf")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    perf.is_ok_and(|it| it.success())
}

/// Samples a second of each processor: no divisor of anything that comes regularly.
const FREQUENCY: &str = "997";

/// Who ran, by the names of threads, as they begin.
const WHO: [(&str, Who); 6] = [
    ("bootstrap", Who::Functions),
    ("tokio-", Who::Gateway),
    ("chatctl", Who::Gateway),
    ("dynamodb", Who::Table),
    ("bench", Who::Clients),
    ("talk", Who::Clients),
];

/// What of it, by the names of symbols; the first that is found counts.
const WHAT: [(&str, What); 18] = [
    ("sha256", What::Signing),
    ("hmac", What::Signing),
    ("signature", What::Signing),
    ("ring_core", What::Signing),
    ("ring::", What::Signing),
    ("smithy", What::Sdk),
    ("aws_", What::Sdk),
    ("sqlite", What::Data),
    ("dynoxide", What::Data),
    ("serde", What::Data),
    ("hyper", What::Http),
    ("httparse", What::Http),
    ("http::", What::Http),
    ("tungstenite", What::WebSocket),
    ("tokio", What::Waiting),
    ("futures", What::Waiting),
    ("mio::", What::Waiting),
    ("waker", What::Waiting),
];

/// Who takes part in a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Functions,
    Gateway,
    Table,
    Clients,
}

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Functions => "the functions",
            Self::Gateway => "the gateway",
            Self::Table => "the table",
            Self::Clients => "the clients",
        }
    }
}

/// What it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Kernel,
    Memory,
    Http,
    Sdk,
    Signing,
    Waiting,
    WebSocket,
    Data,
    Rest,
}

impl What {
    pub(super) const ALL: [Self; 9] = [
        Self::Kernel,
        Self::Memory,
        Self::Http,
        Self::Sdk,
        Self::Signing,
        Self::Waiting,
        Self::WebSocket,
        Self::Data,
        Self::Rest,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kernel => "the system: sockets, scheduling",
            Self::Memory => "memory: allocating, copying",
            Self::Http => "HTTP",
            Self::Sdk => "AWS's SDK",
            Self::Signing => "signing",
            Self::Waiting => "tasks and wake-ups",
            Self::WebSocket => "WebSocket",
            Self::Data => "JSON and the database",
            Self::Rest => "the rest of the program",
        }
    }
}

/// Samples by who and what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile(BTreeMap<(Who, What), u64>);

impl Profile {
    /// Of what `perf report` says, a line for each symbol: samples, thread, file, symbol.
    fn of(report: &str) -> Option<Self> {
        let mut profile = Self::default();
        for line in report.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.splitn(4, ';').map(str::trim);
            let (Some(samples), Some(thread), Some(file), Some(symbol)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let who = WHO.iter().find(|(name, _)| thread.starts_with(name));
            if let (Ok(samples), Some((_, who))) = (samples.parse::<u64>(), who) {
                *profile.0.entry((*who, what(file, symbol))).or_default() += samples;
            }
        }
        (!profile.0.is_empty()).then_some(profile)
    }

    /// Whole percents of one's own samples that are something; of all samples that are its own.
    pub(super) fn percent(&self, who: Who, what: Option<What>) -> u32 {
        let of = |is: &dyn Fn(&(Who, What)) -> bool| -> u64 {
            let counted = self.0.iter().filter(|(key, _)| is(key));
            counted.map(|(_, samples)| samples).sum()
        };
        let own = of(&|key| key.0 == who);
        let (part, whole) = match what {
            Some(what) => (of(&|key| *key == (who, what)), own),
            None => (own, of(&|_| true)),
        };
        let percent = (200 * part + whole) / (2 * whole.max(1));
        u32::try_from(percent).unwrap_or(u32::MAX)
    }

    /// Who is in it, in their order.
    pub(super) fn who(&self) -> Vec<Who> {
        let mut who: Vec<Who> = self.0.keys().map(|key| key.0).collect();
        who.dedup();
        who
    }
}

fn what(file: &str, symbol: &str) -> What {
    if symbol.starts_with("[k]") {
        return What::Kernel;
    }
    if file.starts_with("libc") {
        return What::Memory;
    }
    let known = WHAT.iter().find(|(part, _)| symbol.contains(part));
    known.map_or(What::Rest, |(_, what)| *what)
}

/// A recording under way.
#[derive(Debug)]
pub(super) struct Recording {
    perf: Child,
    file: PathBuf,
}

impl Recording {
    /// Records for so long; `None` where `perf` is not there.
    pub(super) fn start(folder: &Path, time: Duration) -> Option<Self> {
        let file = folder.join("perf.data");
        let perf = Command::new("perf")
            .args(["record", "--all-cpus", "--freq", FREQUENCY, "--output"])
            .arg(&file)
            .args(["--", "sleep", &time.as_secs_f64().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { perf, file })
    }

    /// What was recorded, once it is; `None` where `perf` may not look.
    pub(super) fn end(mut self) -> Option<Profile> {
        if !self.perf.wait().ok()?.success() {
            return None;
        }
        let report = Command::new("perf")
            .args(["report", "--stdio", "--field-separator", ";"])
            .args(["--fields", "sample,comm,dso,symbol", "--input"])
            .arg(&self.file)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        Profile::of(&String::from_utf8_lossy(&report.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_told_apart_by_thread_file_and_symbol() {
        let report = "\
# Samples: 1K of event 'cpu-clock:ppp'
#
       30;bootstrap;[kernel.kallsyms];[k] tcp_sendmsg
       20;bootstrap;libc.so.6;[.] _int_malloc
       10;bootstrap;bootstrap;[.] ring_core_0_17_14__sha256_block_data_order_hw
       15;bootstrap;bootstrap;[.] 0x000000000012f0a3
        5;bootstrap;bootstrap;[.] <hyper::proto::h1::role::Client as X<[u8; 3]>>::encode
       12;tokio-rt-worker;chatctl;[.] tungstenite::protocol::WebSocket<S>::write
        8;dynamodb;chatctl;[.] sqlite3VdbeExec
       99;rustc;librustc.so;[.] anything
not a line
";
        let profile = Profile::of(report).expect("a profile");
        assert_eq!(profile.who(), [Who::Functions, Who::Gateway, Who::Table]);
        let of = |who, what| profile.percent(who, what);
        assert_eq!(of(Who::Functions, None), 80);
        assert_eq!(of(Who::Table, None), 8);
        for (what, percent) in [
            (What::Kernel, 38),
            (What::Memory, 25),
            (What::Signing, 13),
            (What::Rest, 19),
            (What::Http, 6),
        ] {
            assert_eq!(of(Who::Functions, Some(what)), percent, "{what:?}");
        }
        assert_eq!(of(Who::Gateway, Some(What::WebSocket)), 100);
        assert_eq!(of(Who::Table, Some(What::Data)), 100);
    }

    #[test]
    fn a_report_of_nobody_who_takes_part_is_no_profile() {
        assert_eq!(Profile::of(""), None);
        assert_eq!(Profile::of("# nothing\n 5;rustc;rustc;[.] main\n"), None);
    }
}
