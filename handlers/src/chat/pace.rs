//! How fast one connection may speak.
//!
//! Each message carries who spoke lately, and up to when what each of them said counts. The next one is
//! written after it was read, as the rules need it anyway for its place, and carries it on. So it costs
//! no call, and as of two messages only one gets a place, none is written without having been counted.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::identity::hex;
use crate::ports::{ConnectionId, Timestamp};

/// Connections whose pace a message carries at most; those who spoke most are kept. Who is not among so
/// many starts where the least of them is, as it may have been there and been forgotten (“Space-Saving”):
/// so nobody is ever counted for less than was said, and all who are not kept wait like that one.
const KEPT_MAX: usize = 32;

/// Bytes of what a connection is known by here.
const TAG_BYTES: usize = 4;

/// So many seconds' messages may come at once.
const BURST_S: u32 = 4;

/// How fast one connection may speak: steadily, and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tempo {
    every: Duration,
    ahead: Duration,
}

impl Tempo {
    /// So many messages a second, and what may be said in four seconds at once.
    #[must_use]
    pub fn per_second(messages: u32) -> Option<Self> {
        let every = Duration::from_secs(1).checked_div(messages)?;
        Some(Self {
            every,
            ahead: Duration::from_secs(1) * BURST_S,
        })
    }
}

/// Who spoke lately, and when that no longer counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace(Vec<(String, Timestamp)>);

impl Pace {
    /// Reads what was kept. What cannot be read counts as not said.
    #[must_use]
    pub fn recorded(text: &str) -> Self {
        let each = text.split_whitespace().filter_map(|one| {
            let (tag, until) = one.split_once(':')?;
            Some((tag.to_owned(), Timestamp::from_millis(until.parse().ok()?)))
        });
        Self(each.collect())
    }

    /// The pace after one more message.
    ///
    /// # Errors
    /// How long it has to wait.
    pub(super) fn after(
        &self,
        speaker: &ConnectionId,
        now: Timestamp,
        tempo: Tempo,
    ) -> Result<Self, Duration> {
        let tag = hex(&Sha256::digest(speaker.as_str().as_bytes())[..TAG_BYTES]);
        let mut all: Vec<_> = self.0.clone();
        all.retain(|(_, until)| *until > now);
        let own = all.iter().position(|(it, _)| *it == tag);
        let until = match own {
            Some(place) => all.swap_remove(place).1,
            None => forgotten(&all).unwrap_or(now),
        };
        let until = until.after(tempo.every);
        let most = now.after(tempo.ahead);
        if until > most {
            return Err(Duration::from_millis(until.millis() - most.millis()));
        }
        all.push((tag, until));
        all.sort_by_key(|(_, until)| std::cmp::Reverse(*until));
        all.truncate(KEPT_MAX);
        Ok(Self(all))
    }
}

/// Up to when somebody may count who is not among these; `None` while there is room for everybody.
fn forgotten(kept: &[(String, Timestamp)]) -> Option<Timestamp> {
    let least = kept.iter().map(|(_, until)| *until).min();
    least.filter(|_| kept.len() >= KEPT_MAX)
}

impl fmt::Display for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self
            .0
            .iter()
            .map(|(tag, until)| format!("{tag}:{}", until.millis()));
        formatter.write_str(&each.collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn tempo(messages: u32) -> Tempo {
        Tempo::per_second(messages).expect("some")
    }

    /// How many of `ask` messages at these times are taken, and how long the first one refused has to wait.
    fn taken(messages: u32, times: impl Iterator<Item = u64>) -> (usize, Option<u64>) {
        let (mut pace, mut taken, mut wait) = (Pace::default(), 0, None);
        for time in times {
            match pace.after(&ConnectionId::new("a"), at(time), tempo(messages)) {
                Ok(next) => (pace, taken) = (Pace::recorded(&next.to_string()), taken + 1),
                Err(refused) => {
                    let _: &mut u64 = wait.get_or_insert_with(|| {
                        u64::try_from(refused.as_millis()).expect("some seconds")
                    });
                }
            }
        }
        (taken, wait)
    }

    #[test]
    fn a_burst_and_a_steady_pace_are_taken_and_what_is_beyond_has_to_wait() {
        for (what, times, expected) in [
            ("a burst", vec![0; 20], (20, None)),
            ("more at once", vec![0; 30], (20, Some(200))),
            (
                "all at once, and once more after that wait",
                [vec![0; 21], vec![200]].concat(),
                (21, Some(200)),
            ),
            (
                "and a moment too early",
                [vec![0; 20], vec![150]].concat(),
                (20, Some(50)),
            ),
            (
                "five a second for long",
                (0..500).map(|it| it * 200).collect(),
                (500, None),
            ),
            (
                "a hundred a second for ten",
                (0..1_000).map(|it| it * 10).collect(),
                (69, Some(190)),
            ),
            (
                "bursts with a rest",
                (0..80).map(|it| it / 20 * 4_000).collect(),
                (80, None),
            ),
        ] {
            assert_eq!(taken(5, times.into_iter()), expected, "{what}");
        }
        assert_eq!(taken(50, vec![0; 300].into_iter()), (200, Some(20)));
        assert_eq!(Tempo::per_second(0), None);
    }

    #[test]
    fn nobody_waits_for_what_others_say_and_a_clock_that_goes_back_changes_little() {
        let mut pace = Pace::default();
        for number in 0..200 {
            let speaker = ConnectionId::new(format!("c{number}"));
            pace = pace
                .after(&speaker, at(number), tempo(5))
                .expect("its first");
            assert!(pace.to_string().len() <= 23 * KEPT_MAX);
        }
        let back = pace.after(&ConnectionId::new("c199"), at(100), tempo(5));
        back.expect("within the burst");
    }

    /// What the loud one says that tries a hundred times a second for so long, and how often one of its
    /// many helpers is refused, who say so much at once before it comes and then take turns at so many
    /// messages a second each.
    fn flooded(helpers: u64, first: u64, each: u64, seconds: u64) -> (u64, u64) {
        let (mut pace, mut said, mut refused) = (Pace::default(), 0, 0);
        let helper = |number| ConnectionId::new(format!("helper {number}"));
        for turn in 0..helpers * first {
            if let Ok(next) = pace.after(&helper(turn / first), at(0), tempo(5)) {
                pace = next;
            }
        }
        let mut due = 0;
        for millis in (0..seconds * 1_000).step_by(10) {
            while due * 1_000 <= millis * helpers * each {
                match pace.after(&helper(due % helpers), at(millis), tempo(5)) {
                    Ok(next) => pace = Pace::recorded(&next.to_string()),
                    Err(_) => refused += 1,
                }
                due += 1;
            }
            if let Ok(next) = pace.after(&ConnectionId::new("loud"), at(millis), tempo(5)) {
                (pace, said) = (Pace::recorded(&next.to_string()), said + 1);
            }
        }
        (said, refused)
    }

    #[test]
    fn however_many_speak_beside_it_the_loud_one_says_no_more_than_it_may() {
        for helpers in [10, 31, 32, 33, 64, 200] {
            for (first, each) in [(0, 1), (0, 5), (15, 1), (15, 5)] {
                let (said, _) = flooded(helpers, first, each, 20);
                assert!(said <= 20 + 5 * 20, "{helpers} at {each}/s: {said}");
            }
        }
    }

    #[test]
    fn in_a_busy_room_nobody_is_refused_for_what_others_say() {
        for (helpers, each) in [(31, 5), (31, 1), (32, 1), (64, 1), (140, 1)] {
            let (said, refused) = flooded(helpers, 0, each, 20);
            assert_eq!(refused, 0, "{helpers} at {each}/s");
            assert!(said >= 5 * 20, "{helpers} at {each}/s: {said}");
        }
    }

    #[test]
    fn what_cannot_be_read_counts_as_not_said() {
        for text in ["", "a", "a:", "a:b", ":"] {
            assert_eq!(Pace::recorded(text).0.len(), 0, "{text}");
        }
        let two = Pace(vec![("a".to_owned(), at(1)), ("b".to_owned(), at(2))]);
        assert_eq!(Pace::recorded(&two.to_string()), two);
    }
}
