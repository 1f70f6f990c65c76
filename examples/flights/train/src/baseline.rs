//! The two predictors that the model must beat.

use serde::{Deserialize, Serialize};

use crate::metrics::mean;

/// Newton steps for the logistic line. It settles to the last digit in about eight.
const NEWTON_STEPS: usize = 25;

/// `intercept + slope · x`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The value at zero.
    pub intercept: f64,
    /// The gain for one minute of departure delay.
    pub slope: f64,
}

impl Line {
    /// The value at `x`.
    pub fn at(self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }

    /// Least squares of `y` on `x`.
    pub fn fit(x: &[f64], y: &[f64]) -> Self {
        let (x_mean, y_mean) = (mean(x.iter().copied()), mean(y.iter().copied()));
        let variance = mean(x.iter().map(|x| (x - x_mean).powi(2)));
        let covariance = mean(x.iter().zip(y).map(|(x, y)| (x - x_mean) * (y - y_mean)));
        let slope = covariance / variance;
        Self { intercept: y_mean - slope * x_mean, slope }
    }

    /// Largest likelihood of `happened` with the line as log odds, by Newton's method.
    pub fn fit_log_odds(x: &[f64], happened: &[bool]) -> Self {
        let mut line = Self { intercept: 0.0, slope: 0.0 };
        for _ in 0..NEWTON_STEPS {
            // Gradient g and Hessian h of the log likelihood in (intercept, slope).
            let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (&x, &happened) in x.iter().zip(happened) {
                let p = sigmoid(line.at(x));
                let (error, weight) = (f64::from(u8::from(happened)) - p, p * (1.0 - p));
                g0 += error;
                g1 += error * x;
                h00 += weight;
                h01 += weight * x;
                h11 += weight * x * x;
            }
            let determinant = h00 * h11 - h01 * h01;
            line.intercept += (h11 * g0 - h01 * g1) / determinant;
            line.slope += (h00 * g1 - h01 * g0) / determinant;
        }
        line
    }
}

/// The logistic function.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// What the baselines learnt from the training days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// Mean arrival delay, minutes: the first baseline's only answer.
    pub mean_arr_delay: f64,
    /// Share of flights that arrived late: its only probability.
    pub late_rate: f64,
    /// What a missing departure delay counts as, minutes: the same as in the model.
    pub dep_delay_fill: f64,
    /// Arrival delay from departure delay alone, least squares.
    pub arr_delay_line: Line,
    /// Log odds of a late arrival from departure delay alone, largest likelihood.
    pub late_line: Line,
}

impl Baselines {
    /// Fits both to `dep_delay` and `arr_delay` of the training flights, row by row, in minutes.
    pub fn fit(dep_delay: &[f64], dep_delay_fill: f64, arr_delay: &[f64], late: &[bool]) -> Self {
        Self {
            mean_arr_delay: mean(arr_delay.iter().copied()),
            late_rate: mean(late.iter().map(|&late| f64::from(u8::from(late)))),
            dep_delay_fill,
            arr_delay_line: Line::fit(dep_delay, arr_delay),
            late_line: Line::fit_log_odds(dep_delay, late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_finds_the_line_through_points_of_a_line() {
        let x = [-3.0, 0.0, 1.0, 8.0];
        let y = x.map(|x| 2.5 - 0.5 * x);
        let line = Line::fit(&x, &y);
        assert!((line.intercept - 2.5).abs() < 1e-12 && (line.slope + 0.5).abs() < 1e-12);
    }

    #[test]
    fn log_odds_match_the_shares_of_two_groups() {
        // 1 of 4 at x = 0 and 3 of 4 at x = 1: the fitted line must give just these shares.
        let x = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let happened = [true, false, false, false, true, true, true, false];
        let line = Line::fit_log_odds(&x, &happened);
        assert!((sigmoid(line.at(0.0)) - 0.25).abs() < 1e-12);
        assert!((sigmoid(line.at(1.0)) - 0.75).abs() < 1e-12);
    }
}
