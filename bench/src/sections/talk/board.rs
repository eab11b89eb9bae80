//! Who has heard what. Pure: it is told the time.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Every message of a run, and who has it. Members are numbered from 0 in the order of their joining.
#[derive(Debug, Default)]
pub(super) struct Board {
    messages: Vec<Said>,
    deliveries: u64,
    repeats: u64,
}

/// A message that was said.
#[derive(Debug)]
struct Said {
    at: Instant,
    by: usize,
    members: usize,
    /// A bit for each member.
    heard: Box<[u64]>,
    missing: usize,
    whole: Option<oneshot::Sender<Duration>>,
}

/// A message under way.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Its number, which has to be in its text.
    pub(super) number: usize,
    /// How long it took to the last of those who should have it, once they all have.
    pub(super) whole: oneshot::Receiver<Duration>,
}

impl Board {
    /// `by` says something to a room of `members`, all of whom but itself should hear it.
    pub(super) fn said(&mut self, at: Instant, by: usize, members: usize) -> Ticket {
        let (sender, whole) = oneshot::channel();
        self.messages.push(Said {
            at,
            by,
            members,
            heard: vec![0; members.div_ceil(64)].into(),
            missing: members.saturating_sub(1),
            whole: Some(sender),
        });
        Ticket {
            number: self.messages.len() - 1,
            whole,
        }
    }

    /// `member` has heard a message. What was not meant for it does not count.
    pub(super) fn heard(&mut self, at: Instant, number: usize, member: usize) {
        let Some(said) = self.messages.get_mut(number) else {
            return;
        };
        if member == said.by || member >= said.members {
            return;
        }
        let (word, bit) = (&mut said.heard[member / 64], 1 << (member % 64));
        if *word & bit != 0 {
            self.repeats += 1;
            return;
        }
        *word |= bit;
        self.deliveries += 1;
        said.missing -= 1;
        if said.missing == 0
            && let Some(whole) = said.whole.take()
        {
            // Nobody may be waiting any more.
            let _ = whole.send(at.saturating_duration_since(said.at));
        }
    }

    /// How many messages have reached somebody, each receiver counted.
    pub(super) fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// How many times somebody heard again what it had heard.
    pub(super) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// What should have been heard by now and was not.
    pub(super) fn losses(&self) -> u64 {
        let missing: usize = self.messages.iter().map(|said| said.missing).sum();
        u64::try_from(missing).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_when_the_last_of_the_others_has_it() {
        let (mut board, start) = (Board::default(), Instant::now());
        let mut ticket = board.said(start, 1, 3);
        let after = |ms| start + Duration::from_millis(ms);
        board.heard(after(5), ticket.number, 2);
        assert!(ticket.whole.try_recv().is_err());
        assert_eq!((board.losses(), board.deliveries()), (1, 1));
        board.heard(after(9), ticket.number, 0);
        assert_eq!(ticket.whole.try_recv(), Ok(Duration::from_millis(9)));
        assert_eq!((board.losses(), board.deliveries()), (0, 2));
    }

    #[test]
    fn who_hears_twice_does_not_stand_in_for_who_does_not() {
        let (mut board, start) = (Board::default(), Instant::now());
        let ticket = board.said(start, 0, 70);
        for member in [1, 1, 1, 69, 69] {
            board.heard(start, ticket.number, member);
        }
        assert_eq!(board.losses(), 67);
        assert_eq!((board.deliveries(), board.repeats()), (2, 3));
    }

    #[test]
    fn the_speakers_own_copy_and_those_of_strangers_do_not_count() {
        let (mut board, start) = (Board::default(), Instant::now());
        let ticket = board.said(start, 0, 2);
        board.heard(start, ticket.number, 0);
        board.heard(start, ticket.number, 2);
        board.heard(start, ticket.number + 1, 1);
        assert_eq!((board.losses(), board.deliveries()), (1, 0));
    }
}
