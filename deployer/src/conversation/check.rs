//! What is looked at, one promise each, and what came of it.

use std::time::Duration;

use tokio::time::Instant;

use super::checks;
use super::fault::Fault;
use super::scene::{Scene, Server};
use super::transcript::Transcript;
use crate::wait::Patience;

/// A promise of PROTOCOL.md that can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Connection,
    Room,
    Message,
    Order,
    Once,
    Recovery,
    History,
    Resume,
    Identity,
    Names,
    Presence,
    Typing,
    Pong,
    Membership,
    Lobby,
    Codes,
    Limits,
    Fields,
    Errors,
    Remove,
    Flood,
}

impl Check {
    /// All, in the order in which they are tried.
    pub(crate) const ALL: [Self; 21] = [
        Self::Connection,
        Self::Room,
        Self::Message,
        Self::Order,
        Self::Once,
        Self::Recovery,
        Self::History,
        Self::Resume,
        Self::Identity,
        Self::Names,
        Self::Presence,
        Self::Typing,
        Self::Pong,
        Self::Membership,
        Self::Lobby,
        Self::Codes,
        Self::Limits,
        Self::Fields,
        Self::Errors,
        Self::Remove,
        Self::Flood,
    ];

    /// A word for it. Programs know it by that.
    pub(crate) fn name(self) -> &'static str {
        self.words().0
    }

    /// What is promised.
    pub(crate) fn promise(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Connection => ("connection", "a connection begins in the lobby"),
            Self::Room => ("room", "a room is made, joined and left"),
            Self::Message => ("message", "a message goes both ways, the same for all"),
            Self::Order => ("order", "two talk at once: one order, no hole"),
            Self::Once => ("once", "a message sent again is said once"),
            Self::Recovery => ("recovery", "what was missed is had, page by page"),
            Self::History => ("history", "what was said is had, before and after"),
            Self::Resume => ("resume", "who comes back is the same member at once"),
            Self::Identity => ("identity", "nobody speaks as another"),
            Self::Names => ("names", "a name is one member's, whatever its case"),
            Self::Presence => ("presence", "everyone knows who is there"),
            Self::Typing => ("typing", "the others see that somebody writes"),
            Self::Pong => ("pong", "`pong` tells what is newest"),
            Self::Membership => ("membership", "who is not in a room has no part in it"),
            Self::Lobby => ("lobby", "who leaves is in the lobby, without a name"),
            Self::Codes => ("codes", "a room's code is read leniently"),
            Self::Limits => ("limits", "texts, names and ids have their lengths"),
            Self::Fields => ("fields", "unknown fields are ignored"),
            Self::Errors => ("errors", "each wrong frame has its code, and no more"),
            Self::Remove => ("remove", "who is removed is out and does not come back"),
            Self::Flood => ("flood", "who speaks too fast waits and loses nothing"),
        }
    }

    /// What it would be in vain without.
    fn needs(self) -> Option<Self> {
        match self {
            Self::Connection => None,
            Self::Room => Some(Self::Connection),
            _ => Some(Self::Room),
        }
    }

    async fn look(self, scene: &Scene<'_>) -> Result<(), Fault> {
        match self {
            Self::Connection => checks::connection(scene).await,
            Self::Room => checks::room(scene).await,
            Self::Message => checks::message(scene).await,
            Self::Order => checks::order(scene).await,
            Self::Once => checks::once(scene).await,
            Self::Recovery => checks::recovery(scene).await,
            Self::History => checks::history(scene).await,
            Self::Resume => checks::resume(scene).await,
            Self::Identity => checks::identity(scene).await,
            Self::Names => checks::names(scene).await,
            Self::Presence => checks::presence(scene).await,
            Self::Typing => checks::typing(scene).await,
            Self::Pong => checks::pong(scene).await,
            Self::Membership => checks::membership(scene).await,
            Self::Lobby => checks::lobby(scene).await,
            Self::Codes => checks::codes(scene).await,
            Self::Limits => checks::limits(scene).await,
            Self::Fields => checks::fields(scene).await,
            Self::Errors => checks::errors(scene).await,
            Self::Remove => checks::remove(scene).await,
            Self::Flood => checks::flood(scene).await,
        }
    }
}

/// What came of a check.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What was promised.
    pub(crate) promise: &'static str,
    /// Whether it holds.
    pub(crate) verdict: Verdict,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Whether a promise holds.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It does.
    Held,
    /// It does not.
    Failed {
        /// Why, and the cause of that.
        reasons: Vec<String>,
        /// What was sent and received.
        transcript: Option<Transcript>,
    },
    /// Another one that it would be in vain without has failed.
    NotTried {
        /// That one.
        without: &'static str,
    },
}

impl Outcome {
    /// Whether it failed.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self.verdict, Verdict::Failed { .. })
    }
}

/// The check, if it is in vain after what came of those before it.
pub(crate) fn not_tried(check: Check, before: &[Outcome]) -> Option<Outcome> {
    let without = check.needs()?.name();
    let holds = |it: &Outcome| it.name == without && matches!(it.verdict, Verdict::Held);
    let outcome = Outcome {
        name: check.name(),
        promise: check.promise(),
        verdict: Verdict::NotTried { without },
        took: Duration::ZERO,
    };
    (!before.iter().any(holds)).then_some(outcome)
}

/// Tries a check until its time is up, if it fails only in what the protocol says may go well the next
/// time.
pub(crate) async fn try_check(check: Check, server: Server<'_>, limit: Duration) -> Outcome {
    let since = Instant::now();
    let mut patience = Patience::new(limit, Duration::from_millis(200), Duration::from_secs(3));
    let mut last = None;
    let verdict = loop {
        let scene = Scene::new(server, since, limit);
        let looked = Box::pin(check.look(&scene)).await;
        let transcript = scene.transcript();
        Box::pin(scene.end()).await;
        let Err(fault) = looked else {
            break Verdict::Held;
        };
        let is_passing = fault.is_passing();
        let failed = Verdict::Failed {
            reasons: reasons(&fault),
            transcript: Some(transcript),
        };
        if is_passing && patience.pause().await {
            last = Some(failed);
            continue;
        }
        // A try that there was no time left for tells nothing.
        break match (fault, last) {
            (Fault::Silence { .. }, Some(last)) => last,
            _ => failed,
        };
    };
    Outcome {
        name: check.name(),
        promise: check.promise(),
        verdict,
        took: since.elapsed(),
    }
}

/// Tries once whether two addresses lead to the same chat.
pub(crate) async fn try_two_ways(server: Server<'_>, other: &str, limit: Duration) -> Outcome {
    let since = Instant::now();
    let scene = Scene::new(server, since, limit);
    let passed = Box::pin(checks::pass_both_ways(&scene, other)).await;
    let transcript = scene.transcript();
    Box::pin(scene.end()).await;
    Outcome {
        name: "direct",
        promise: "the API's own address leads to the same chat",
        verdict: match passed {
            Ok(_) => Verdict::Held,
            Err(fault) => Verdict::Failed {
                reasons: reasons(&fault),
                transcript: Some(transcript),
            },
        },
        took: since.elapsed(),
    }
}

/// An error and its causes.
pub(crate) fn reasons(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let causes = std::iter::successors(Some(error), |it| it.source());
    causes.map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(check: Check, verdict: Verdict) -> Outcome {
        Outcome {
            name: check.name(),
            promise: check.promise(),
            verdict,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn only_what_is_in_vain_is_not_tried() {
        let failed = || Verdict::Failed {
            reasons: Vec::new(),
            transcript: None,
        };
        assert!(not_tried(Check::Connection, &[]).is_none());
        let held = [Check::Connection, Check::Room].map(|it| outcome(it, Verdict::Held));
        assert!(not_tried(Check::Order, &held).is_none());
        let others = [
            outcome(Check::Room, Verdict::Held),
            outcome(Check::Message, failed()),
        ];
        assert!(not_tried(Check::Order, &others).is_none());
        let without = [outcome(Check::Room, failed())];
        let skipped = not_tried(Check::Order, &without).unwrap();
        assert!(matches!(
            skipped.verdict,
            Verdict::NotTried { without: "room" }
        ));
        // And what needs that one in turn.
        let chain = [outcome(Check::Connection, failed())];
        let room = not_tried(Check::Room, &chain).unwrap();
        assert!(not_tried(Check::Order, &[room]).is_some());
    }

    #[test]
    fn every_check_has_a_word_of_its_own_and_fits_its_column() {
        let mut names: Vec<_> = Check::ALL.map(Check::name).into();
        assert!(names.iter().all(|it| it.len() <= 10), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Check::ALL.len());
        for check in Check::ALL {
            assert!(check.promise().chars().count() <= 46, "{check:?}");
        }
    }
}
