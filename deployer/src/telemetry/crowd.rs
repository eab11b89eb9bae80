//! How many are connected, as far as anybody can know. Pure.
//!
//! API Gateway has no gauge of open connections, and a table's items could only be counted by reading
//! all of them. What there is: how often the functions behind `$connect` and `$disconnect` were invoked.
//! The difference since a moment when nobody was connected is how many are, but for the disconnects that
//! got lost, which makes it too many. Two facts keep it honest: no connection lives longer than two hours,
//! so nobody is connected who did not come within them; and where nobody came for two hours, nobody is.

use crate::cloud::Point;

/// The longest that API Gateway keeps a connection.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>
const LIFETIME_S: i64 = 2 * 60 * 60;

/// Who came and who went, by times in order, over more than the longest life of a connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Movements {
    /// From when on these are known.
    pub(crate) since_s: i64,
    /// Until when.
    pub(crate) until_s: i64,
    /// Connects.
    pub(crate) came: Vec<Point>,
    /// Disconnects.
    pub(crate) went: Vec<Point>,
}

/// How many are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crowd {
    /// By the difference, within the bounds.
    pub(crate) about: u64,
    /// At most: who came within the life of a connection.
    pub(crate) most: u64,
    /// Whether the difference begins with nobody; otherwise it may be off either way.
    pub(crate) begins_empty: bool,
    /// Since when the difference is.
    pub(crate) since_s: i64,
}

impl Crowd {
    /// What the movements come to.
    pub(crate) fn of(movements: &Movements) -> Self {
        let most = sum(&movements.came, movements.until_s - LIFETIME_S);
        let empty = last_empty_moment(movements);
        let since_s = empty.unwrap_or(movements.since_s);
        let difference = sum(&movements.came, since_s) - sum(&movements.went, since_s);
        Self {
            about: whole(difference.clamp(0.0, most)),
            most: whole(most),
            begins_empty: empty.is_some(),
            since_s,
        }
    }
}

/// The end of the last two hours in which nobody came, before somebody did: the moment of that coming.
fn last_empty_moment(movements: &Movements) -> Option<i64> {
    let came = movements.came.iter().filter(|it| it.value > 0.0);
    let times = came.map(|it| it.at_s).chain([movements.until_s]);
    let mut before = movements.since_s;
    let mut empty = None;
    for at_s in times {
        if at_s - before >= LIFETIME_S {
            empty = Some(at_s);
        }
        before = at_s;
    }
    empty
}

fn sum(points: &[Point], since_s: i64) -> f64 {
    let later = points.iter().filter(|it| it.at_s >= since_s);
    later.map(|it| it.value).sum()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is a count, and neither negative nor beyond what is exact"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const NOW: i64 = 24 * HOUR;

    fn crowd(came: &[(i64, f64)], went: &[(i64, f64)]) -> Crowd {
        let points = |pairs: &[(i64, f64)]| {
            let point = |&(at_s, value): &(i64, f64)| Point { at_s, value };
            pairs.iter().map(point).collect()
        };
        Crowd::of(&Movements {
            since_s: 0,
            until_s: NOW,
            came: points(came),
            went: points(went),
        })
    }

    #[test]
    fn nobody_is_connected_where_nobody_came_for_two_hours_whatever_got_lost() {
        let crowd = crowd(&[(HOUR, 100.0)], &[(2 * HOUR, 3.0)]);
        assert_eq!((crowd.about, crowd.most, crowd.begins_empty), (0, 0, true));
    }

    #[test]
    fn since_nobody_was_there_the_difference_is_who_is_there() {
        let crowd = crowd(
            &[(HOUR, 100.0), (NOW - HOUR, 7.0), (NOW - 5 * MINUTE, 5.0)],
            &[(2 * HOUR, 1.0), (NOW - HOUR, 2.0)],
        );
        assert_eq!((crowd.about, crowd.most), (10, 12));
        assert_eq!((crowd.begins_empty, crowd.since_s), (true, NOW - HOUR));
    }

    #[test]
    fn lost_disconnects_make_no_more_than_came_within_the_life_of_a_connection() {
        let every_hour = |value| (1..24).map(move |it| (it * HOUR, value));
        let came: Vec<_> = every_hour(10.0).collect();
        let went: Vec<_> = every_hour(6.0).collect();
        let crowd = crowd(&came, &went);
        // Of the 92 that the difference is, 20 came within two hours: those at 22:00 are in it.
        assert_eq!(
            (crowd.about, crowd.most, crowd.begins_empty),
            (20, 20, false)
        );
    }

    #[test]
    fn who_came_before_all_that_is_known_makes_it_no_less_than_nobody() {
        let every_hour = |value| (0..24).map(move |it| (it * HOUR + MINUTE, value));
        let came: Vec<_> = every_hour(1.0).collect();
        let went: Vec<_> = every_hour(5.0).collect();
        assert_eq!(crowd(&came, &went).about, 0);
    }
}
