//! Where rollbacks go, one after the other, cut off or not.

use super::*;

/// A stage whose five releases are told by letters, and what it runs.
struct Stage {
    bucket: Bucket,
    runs: Option<char>,
}

/// How far a rollback comes.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// It has noted where it goes, and nothing more.
    Noted,
    /// Nothing that is a release runs.
    Midway,
    /// It runs, and does not work.
    Broken,
    /// It is recorded, and that is all.
    Recorded,
    Arrived,
}

fn lettered(letter: char) -> (Release, Page) {
    release(letter as usize)
}

impl Stage {
    /// One deploy after the other.
    async fn of(letters: &str) -> Self {
        let mut stage = Self {
            bucket: Bucket::default(),
            runs: None,
        };
        for letter in letters.chars() {
            stage.deploy(letter).await;
        }
        stage
    }

    async fn deploy(&mut self, letter: char) {
        let (release, page) = lettered(letter);
        let kept = record(&self.bucket, "b", &stage(), &release, &page).await;
        let kept = kept.unwrap();
        arrive(&self.bucket, "b", &stage(), &release, &kept)
            .await
            .unwrap();
        self.runs = Some(letter);
    }

    async fn kept(&self) -> Kept {
        look(&self.bucket, "b", &stage()).await.unwrap()
    }

    /// As `commands::rollback` does it: the letter that it goes to, or why it goes nowhere.
    async fn roll_back(&mut self, to: Option<char>, end: End) -> Result<char, String> {
        let kept = self.kept().await;
        let running = self.runs.map(|it| lettered(it).0);
        let is_running = |it: &Release| running.as_ref().is_some_and(|runs| it.is_same(runs));
        let runs: Vec<_> = kept.releases.iter().map(is_running).collect();
        let which = to.map_or(Which::Previous, |it| {
            Which::Name(lettered(it).0.to_string())
        });
        let target = choose("chat-dev", &kept, &runs, &which).map_err(|it| it.to_string())?;
        let letter = ('a'..='z').find(|it| lettered(*it).0.is_same(target));
        let letter = letter.unwrap();
        let old = kept.mark.clone().unwrap_or_default();
        let running = kept.releases.iter().find(|it| is_running(it));
        let mark = old.toward(target, running);
        note(&self.bucket, "b", &stage(), kept.mark.as_ref(), &mark)
            .await
            .unwrap();
        match end {
            End::Noted => return Ok(letter),
            End::Midway => self.runs = None,
            End::Broken | End::Recorded | End::Arrived => self.runs = Some(letter),
        }
        if [End::Recorded, End::Arrived].contains(&end) {
            let page = lettered(letter).1;
            let recorded = record(&self.bucket, "b", &stage(), target, &page).await;
            let mut recorded = recorded.unwrap();
            if end == End::Arrived {
                recorded.mark = Some(mark);
                arrive(&self.bucket, "b", &stage(), target, &recorded)
                    .await
                    .unwrap();
            }
        }
        Ok(letter)
    }

    fn write_over_the_mark(&self, content: &'static str) {
        let mut objects = self.bucket.0.borrow_mut();
        let mark = objects.iter_mut().find(|it| it.0.ends_with(".going-to"));
        mark.unwrap().1 = Bytes::from_static(content.as_bytes());
    }

    fn is_marked(&self) -> bool {
        let objects = self.bucket.0.borrow();
        objects.iter().any(|it| it.0 == "releases/dev/.going-to")
    }
}

#[tokio::test]
async fn one_that_was_cut_off_anywhere_goes_to_the_same_release_when_it_is_run_again() {
    for end in [End::Noted, End::Midway, End::Broken, End::Recorded] {
        let mut stage = Stage::of("abc").await;
        for _ in 0..3 {
            assert_eq!(stage.roll_back(None, end).await, Ok('b'));
        }
        assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('b'));
        assert_eq!(stage.roll_back(None, end).await, Ok('a'), "the next one");
        assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('a'));
    }
}

#[tokio::test]
async fn one_rollback_after_the_other_goes_further_back_and_never_to_what_was_left() {
    let mut stage = Stage::of("abc").await;
    assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('b'));
    assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('a'));
    let nowhere = stage.roll_back(None, End::Arrived).await.unwrap_err();
    let left = ['b', 'c'].map(|it| format!("`{}`", lettered(it).0));
    assert_eq!(
        nowhere,
        format!(
            "nothing is kept of `chat-dev` but what it runs already, and what was gone back from: {}",
            left.join(", ")
        )
    );
    // A bad deploy, which is never recorded, or a bad swap: back to what ran before it.
    stage.runs = None;
    assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('a'));
    // What was left stays so when something else is deployed, until it is itself.
    stage.deploy('d').await;
    assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('a'));
    stage.deploy('c').await;
    stage.deploy('e').await;
    assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('c'));
}

#[tokio::test]
async fn another_release_can_be_chosen_half_way_and_what_was_left_be_gone_to() {
    let mut stage = Stage::of("abc").await;
    assert_eq!(stage.roll_back(None, End::Broken).await, Ok('b'));
    assert_eq!(stage.roll_back(Some('a'), End::Midway).await, Ok('a'));
    assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('a'));
    assert!(
        stage.roll_back(None, End::Arrived).await.is_err(),
        "all left"
    );
    // Forward again: that is no way back from where it was.
    assert_eq!(stage.roll_back(Some('c'), End::Noted).await, Ok('c'));
    assert_eq!(stage.roll_back(Some('c'), End::Arrived).await, Ok('c'));
    assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('a'));
}

#[tokio::test]
async fn a_deploy_that_works_is_the_end_of_a_rollback_that_was_cut_off() {
    let mut stage = Stage::of("ab").await;
    assert_eq!(stage.roll_back(None, End::Midway).await, Ok('a'));
    assert!(stage.is_marked());
    stage.deploy('b').await;
    assert!(!stage.is_marked(), "it was left, and is deployed again");
    assert_eq!(stage.roll_back(None, End::Noted).await, Ok('a'));
    stage.deploy('c').await;
    let kept = stage.kept().await;
    let mark = kept.mark.unwrap();
    assert!(!mark.leads_to(&lettered('a').0));
    assert_eq!(
        stage.roll_back(None, End::Arrived).await,
        Ok('a'),
        "not `b`"
    );
    // Of what is not kept any more nothing is remembered.
    for letter in "fghij".chars() {
        stage.deploy(letter).await;
    }
    assert!(!stage.is_marked());
}

#[tokio::test]
async fn a_note_that_cannot_be_read_has_the_user_choose_and_is_gone_then() {
    let mut stage = Stage::of("abc").await;
    stage.roll_back(None, End::Midway).await.unwrap();
    for unreadable in ["", "{", r#"{"going_to": 1}"#] {
        stage.write_over_the_mark(unreadable);
        let refused = stage.roll_back(None, End::Midway).await.unwrap_err();
        assert!(refused.ends_with("noted cannot be read"), "{refused}");
        assert_eq!(stage.kept().await.releases.len(), 3);
        assert_eq!(stage.roll_back(Some('a'), End::Midway).await, Ok('a'));
        assert_eq!(stage.roll_back(None, End::Midway).await, Ok('a'));
    }
    // One that names nothing that is kept leads nowhere.
    let lost = Mark::default().toward(&lettered('z').0, None);
    note(&stage.bucket, "b", &super::stage(), None, &lost)
        .await
        .unwrap();
    assert_eq!(stage.roll_back(None, End::Arrived).await, Ok('c'));
}

#[test]
fn after_a_bad_deploy_the_way_back_is_the_one_that_a_rollback_goes() {
    let all = || kept([named("aaaa", 3), named("bbbb", 2), named("cccc", 1)]);
    let times =
        |kept: Kept, release: &Release| before("chat-dev", kept, release).map(|it| it.written_ms);
    let bad = named("dddd", 4);
    assert_eq!(times(all(), &bad), Some(3));
    assert_eq!(times(all(), &all().releases[0]), Some(2));
    let marked = |target: usize, runs: usize| {
        let mut all = all();
        let mark = Mark::default().toward(&all.releases[target], Some(&all.releases[runs]));
        all.mark = Some(mark);
        all
    };
    assert_eq!(times(marked(1, 0), &bad), Some(2), "it was cut off");
    let second = &all().releases[1];
    assert_eq!(times(marked(1, 0), second), Some(1), "it is what is bad");
    assert_eq!(times(kept([]), &bad), None);
}
