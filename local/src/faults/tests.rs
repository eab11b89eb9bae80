use super::*;
use crate::observer::Observer;

const DRAWS: usize = 20_000;

fn dice(spec: &str, seed: u64) -> Dice {
    let faults = spec.parse().unwrap();
    Dice::new(faults, seed, &Observer::default())
}

/// Every fault that has a share, with one decision about it.
type Decision = fn(&Dice) -> bool;
const DECISIONS: [(&str, Decision); 8] = [
    ("gone", |dice| dice.post(false) == Some(PostFault::Gone)),
    ("throttle", |dice| {
        dice.post(false) == Some(PostFault::Throttle)
    }),
    ("server-error", |dice| {
        dice.post(false) == Some(PostFault::ServerError)
    }),
    ("lose-post", |dice| dice.post(true) == Some(PostFault::Lose)),
    ("lose-disconnect", Dice::lose_disconnect),
    ("crash", |dice| {
        dice.crash(Duration::from_millis(5)).is_some()
    }),
    ("db-throttle", Dice::db_throttle),
    ("slow-client", Dice::slow_client),
];

fn strikes(dice: &Dice, decide: Decision) -> Vec<bool> {
    (0..DRAWS).map(|_| decide(dice)).collect()
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "the counts are small")]
fn each_fault_strikes_at_its_rate() {
    for (name, decide) in DECISIONS {
        for share in [0.005, 0.05, 0.5] {
            let dice = dice(&format!("{name}={}%", share * 100.0), 7);
            let struck = strikes(&dice, decide).into_iter().filter(|it| *it).count() as f64;
            let expected = share * DRAWS as f64;
            // Five standard deviations of a binomial distribution.
            let tolerance = 5.0 * (expected * (1.0 - share)).sqrt();
            assert!(
                (struck - expected).abs() < tolerance,
                "{name} at {share} struck {struck} times of {DRAWS}"
            );
        }
    }
}

#[test]
fn each_fault_repeats_with_its_seed_and_differs_with_another() {
    for (name, decide) in DECISIONS {
        let spec = format!("{name}=10%");
        let first = strikes(&dice(&spec, 7), decide);
        assert_eq!(first, strikes(&dice(&spec, 7), decide), "{name}");
        assert_ne!(first, strikes(&dice(&spec, 8), decide), "{name}");
    }
}

#[test]
fn faults_of_one_seed_do_not_strike_in_step() {
    let mut seen: Vec<Vec<bool>> = Vec::new();
    for (name, decide) in DECISIONS {
        let struck = strikes(&dice(&format!("{name}=10%"), 7), decide);
        assert!(!seen.contains(&struck), "{name}");
        seen.push(struck);
    }
}

#[test]
fn one_fault_does_not_shift_anothers_strikes() {
    let lost = |spec: &str| {
        let dice = dice(spec, 7);
        let lost = (0..DRAWS).map(|_| {
            let _ = dice.lose_disconnect();
            dice.post(true)
        });
        lost.map(|fault| fault == Some(PostFault::Lose))
            .collect::<Vec<_>>()
    };
    let alone = lost("lose-post=10%");
    assert_eq!(
        alone,
        lost("lose-post=10%,reorder=50ms,lose-disconnect=50%")
    );
    // What another fault refuses first cannot be lost any more; all else is.
    let beside = lost("lose-post=10%,throttle=20%");
    assert!(
        alone
            .iter()
            .zip(&beside)
            .all(|(alone, beside)| *alone || !beside)
    );
}

#[test]
fn nothing_strikes_unless_asked_for_and_everything_does_at_100_percent() {
    for (name, decide) in DECISIONS {
        assert!(!strikes(&dice("", 7), decide).contains(&true), "{name}");
        let always = dice(&format!("{name}=100%"), 7);
        assert!(!strikes(&always, decide).contains(&false), "{name}");
    }
}

#[test]
fn a_delivery_is_late_by_anything_up_to_the_duration() {
    let dice = dice("reorder=50ms", 7);
    let delays: Vec<Duration> = (0..DRAWS)
        .map(|_| match dice.post(true) {
            Some(PostFault::Delay(delay)) => delay,
            other => panic!("{other:?}"),
        })
        .collect();
    let most = Duration::from_millis(50);
    assert!(delays.iter().all(|delay| *delay < most));
    assert!(delays.iter().any(|delay| *delay < most / 10));
    assert!(delays.iter().any(|delay| *delay > most * 9 / 10));
    assert_eq!(dice.post(false), None, "only deliveries are late");
}

#[test]
fn a_crash_comes_at_any_moment_of_its_window() {
    let dice = dice("crash=1%", 7);
    let window = Duration::from_millis(10);
    let moments: Vec<Duration> = (0..DRAWS).filter_map(|_| dice.crash(window)).collect();
    assert!(moments.iter().all(|moment| *moment < window));
    assert!(moments.iter().any(|moment| *moment < window / 5));
    assert!(moments.iter().any(|moment| *moment > window * 4 / 5));
}

#[test]
fn specs_are_read() {
    let faults: Faults = "gone=1%, throttle=5%,reorder=50ms,cold-start=1s,lose-post=0.5 %,crash=0%"
        .parse()
        .unwrap();
    let expected = Faults {
        gone: 0.01,
        throttle: 0.05,
        reorder: Duration::from_millis(50),
        cold_start: Duration::from_secs(1),
        lose_post: 0.005,
        ..Faults::default()
    };
    assert_eq!(faults, expected);
    assert!("".parse::<Faults>().unwrap().is_none());
}

#[test]
fn every_fault_reads_its_own_example() {
    for fault in Fault::ALL {
        let (example, _) = fault.usage();
        assert!(example.starts_with(&format!("{fault}=")), "{fault}");
        assert!(!example.parse::<Faults>().unwrap().is_none(), "{fault}");
    }
}

#[test]
fn wrong_specs_are_refused_with_the_reason() {
    for (spec, reason) in [
        ("gnoe=1%", "there is no fault `gnoe`"),
        ("1%", "there is no fault `1%`"),
        (
            "gone",
            "`gone=` is no share: it takes a percentage from 0% to 100%",
        ),
        (
            "gone=1",
            "`gone=1` is no share: it takes a percentage from 0% to 100%",
        ),
        (
            "gone=101%",
            "`gone=101%` is no share: it takes a percentage from 0% to 100%",
        ),
        (
            "gone=-1%",
            "`gone=-1%` is no share: it takes a percentage from 0% to 100%",
        ),
        (
            "gone=NaN%",
            "`gone=NaN%` is no share: it takes a percentage from 0% to 100%",
        ),
        (
            "reorder=50",
            "`reorder=50` is no duration: it takes one such as 50ms or 1s, at most 60s",
        ),
        (
            "cold-start=2h",
            "`cold-start=2h` is no duration: it takes one such as 50ms or 1s, at most 60s",
        ),
        ("gone=1%,gone=2%", "the fault `gone` is given twice"),
    ] {
        let error = spec.parse::<Faults>().unwrap_err();
        assert_eq!(error.to_string(), reason);
    }
}
