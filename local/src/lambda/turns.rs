//! Whose turn it is where more is asked of a function than it has processes. Those who ask take turns,
//! however much each of them asks: one who floods waits for itself, and nobody else does for it. (AWS
//! would start more environments instead.)

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// So many at once.
#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
    is_closed: AtomicBool,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Who waits, each once, whose turn it is next in front.
    order: VecDeque<String>,
    /// What each of them waits for, oldest first.
    waiting: HashMap<String, VecDeque<oneshot::Sender<Turn>>>,
}

/// A turn; it goes to the next when this is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turns {
    pub(super) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: at_once,
                order: VecDeque::new(),
                waiting: HashMap::new(),
            }),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Waits for a turn; `None` once there are no more. It may be given up at any time.
    pub(super) async fn take(self: &Arc<Self>, asker: &str) -> Option<Turn> {
        let turn = {
            let mut state = self.lock();
            if self.is_closed() {
                return None;
            }
            if state.free > 0 {
                state.free -= 1;
                return Some(Turn(Some(Arc::clone(self))));
            }
            state.queue(asker)
        };
        turn.await.ok()
    }

    /// Gives no more turns, not to those who wait either.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        self.is_closed.store(true, Ordering::Relaxed);
        state.order.clear();
        state.waiting.clear();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue(&mut self, asker: &str) -> oneshot::Receiver<Turn> {
        let (give, turn) = oneshot::channel();
        if let Some(waiting) = self.waiting.get_mut(asker) {
            waiting.push_back(give);
        } else {
            self.order.push_back(asker.to_owned());
            self.waiting.insert(asker.to_owned(), [give].into());
        }
        turn
    }

    /// Whoever is next, but for those who have given up.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(asker) = self.order.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&asker) else {
                continue;
            };
            let next = std::iter::from_fn(|| waiting.pop_front()).find(|it| !it.is_closed());
            if waiting.is_empty() {
                self.waiting.remove(&asker);
            } else {
                self.order.push_back(asker);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        let mut state = turns.lock();
        while let Some(next) = state.next() {
            match next.send(Turn(Some(Arc::clone(&turns)))) {
                Ok(()) => return,
                // Given up at this very moment. It must not be given back while the lock is held.
                Err(mut turn) => drop(turn.0.take()),
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who gets a turn, in order, of those who ask in this order while nobody can have one.
    async fn order(askers: &[&str], gives_up: &[usize]) -> Vec<String> {
        let turns = Turns::new(1);
        let first = turns.take("first").await.unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (index, asker) in askers.iter().enumerate() {
            let (turns, got, asker) = (turns.clone(), got.clone(), (*asker).to_owned());
            tasks.push(tokio::spawn(async move {
                let turn = turns.take(&asker).await;
                got.lock().unwrap().push(asker);
                drop(turn);
            }));
            tokio::task::yield_now().await;
            if gives_up.contains(&index) {
                tasks[index].abort();
            }
        }
        drop(first);
        for task in tasks {
            let _ = task.await;
        }
        assert_eq!(turns.lock().free, 1, "nothing is lost");
        Arc::into_inner(got).unwrap().into_inner().unwrap()
    }

    #[tokio::test]
    async fn who_asks_much_waits_for_itself() {
        let asked = ["flood", "flood", "flood", "flood", "ann", "ann", "bob"];
        let expected = ["flood", "ann", "bob", "flood", "ann", "flood", "flood"];
        assert_eq!(order(&asked, &[]).await, expected);
    }

    #[tokio::test]
    async fn who_gives_up_takes_nobodys_turn() {
        let asked = ["flood", "flood", "ann", "bob", "flood"];
        // It keeps its place, which was the first, and nothing waits for what it has given up.
        let expected = ["flood", "bob"];
        assert_eq!(order(&asked, &[0, 1, 2]).await, expected);
        assert_eq!(order(&asked, &[0, 1, 2, 3, 4]).await, [""; 0]);
    }

    #[tokio::test]
    async fn there_are_as_many_turns_as_there_may_be_and_none_once_it_is_closed() {
        let turns = Turns::new(2);
        let (one, _two) = (turns.take("a").await, turns.take("a").await);
        let third = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take("b").await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(one);
        assert!(third.await.unwrap());
        let (_three, waiting) = (turns.take("a").await, {
            let turns = turns.clone();
            tokio::spawn(async move { turns.take("b").await.is_none() })
        });
        tokio::task::yield_now().await;
        turns.close();
        assert!(waiting.await.unwrap());
        assert!(turns.take("b").await.is_none());
    }
}
