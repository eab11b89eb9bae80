//! Medians, spreads and fits. Pure.

use serde::{Deserialize, Serialize};

/// Several runs of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Half of the runs were at most this.
    pub(crate) median: f64,
    /// The least.
    pub(crate) low: f64,
    /// The most.
    pub(crate) high: f64,
    /// How many runs.
    pub(crate) runs: usize,
}

impl Summary {
    /// `None` of no runs.
    pub(crate) fn of(runs: &[f64]) -> Option<Self> {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = sorted[(sorted.len() - 1) / 2];
        Some(Self {
            median: f64::midpoint(lower, upper),
            low: sorted[0],
            high: sorted[sorted.len() - 1],
            runs: sorted.len(),
        })
    }
}

/// The exponent `b` of `y = a·x^b` that fits best, by least squares of the logarithms: 1 is linear,
/// 2 quadratic. `None` of fewer than two different `x`; points that are not positive are left out.
pub(crate) fn growth(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .map(|(x, y)| (x.ln(), y.ln()))
        .collect();
    let (x_sum, y_sum, count) = logs
        .iter()
        .fold((0.0, 0.0, 0.0), |(x_sum, y_sum, count), (x, y)| {
            (x_sum + x, y_sum + y, count + 1.0)
        });
    let (x_mean, y_mean) = (x_sum / count, y_sum / count);
    let spread: f64 = logs.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let together: f64 = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    (spread > 1e-9).then(|| together / spread)
}

/// As [`growth`], told as `n^1.02`; of fewer than four points nothing is told, for a line through so few says
/// little.
pub(crate) fn fitted(what: &str, points: &[(f64, f64)]) -> Option<String> {
    const ENOUGH: usize = 4;
    let exponent = growth(points).filter(|_| points.len() >= ENOUGH)?;
    Some(format!("{what}^{exponent:.2}"))
}

/// Three digits that mean something, with the thousands apart.
pub(crate) fn readable(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if size < 100.0 {
        let decimals = if size >= 10.0 {
            1
        } else if size >= 1.0 {
            2
        } else if size >= 0.01 {
            3
        } else {
            5
        };
        let text = format!("{value:.decimals$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{size:.0}");
    let mut apart = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    if value < 0.0 {
        apart.insert(0, '-');
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        let odd = Summary::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!(
            (odd.median, odd.low, odd.high, odd.runs),
            (2.0, 1.0, 3.0, 3)
        );
        let even = Summary::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert!((even.median - 2.5).abs() < 1e-9);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn growth_tells_linear_from_quadratic() {
        let linear: Vec<(f64, f64)> = [10.0, 100.0, 1000.0].map(|x| (x, 3.0 * x)).to_vec();
        let quadratic: Vec<(f64, f64)> = [10.0, 100.0, 1000.0].map(|x| (x, x * x)).to_vec();
        assert!((growth(&linear).unwrap() - 1.0).abs() < 1e-9);
        assert!((growth(&quadratic).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(growth(&[(1.0, 1.0)]), None);
        assert_eq!(growth(&[]), None);
    }

    #[test]
    fn a_fit_is_told_of_four_points_and_of_no_fewer() {
        let points = [10.0, 100.0, 1000.0, 5000.0].map(|x| (x, x * x));
        assert_eq!(fitted("n", &points).as_deref(), Some("n^2.00"));
        assert_eq!(fitted("n", &points[..3]), None);
    }

    #[test]
    fn numbers_are_told_with_three_digits() {
        let told = [
            0.0,
            0.000_123,
            0.123_4,
            1.234,
            12.34,
            123.4,
            1_234.5,
            1_234_567.0,
        ];
        let told = told.map(readable);
        let expected = [
            "0",
            "0.00012",
            "0.123",
            "1.23",
            "12.3",
            "123",
            "1,234",
            "1,234,567",
        ];
        assert_eq!(told, expected);
    }
}
