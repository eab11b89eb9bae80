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

/// Connections whose pace a message carries at most; those who spoke most are kept.
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
        let until = own.map_or(now, |place| all.swap_remove(place).1);
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

    #[test]
    fn who_floods_is_not_forgotten_for_the_many_who_speak_once() {
        let (mut pace, loud) = (Pace::default(), ConnectionId::new("loud"));
        let mut said = 0;
        for number in 0..100_u64 {
            for other in 0..10 {
                let other = ConnectionId::new(format!("{number}-{other}"));
                pace = pace.after(&other, at(number), tempo(5)).expect("its first");
            }
            if let Ok(next) = pace.after(&loud, at(number), tempo(5)) {
                (pace, said) = (next, said + 1);
            }
        }
        assert_eq!(said, 20);
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
