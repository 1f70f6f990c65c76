//! The training loop.

use std::f64::consts::PI;

use anyhow::{Result, ensure};
use candle_core::{Device, IndexOp, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use nightshift_worker::engine::tabular::Inputs;

use crate::network::Network;
use crate::random::Random;

/// Times that every row is seen.
pub const EPOCHS: usize = 8;
/// Rows of one step.
const BATCH_ROWS: usize = 512;
/// Rate of the first step; it falls to 0 along half a cosine.
const LEARNING_RATE: f64 = 0.005;
/// Of AdamW.
const WEIGHT_DECAY: f64 = 0.05;
/// From here on, in standard deviations, an error of the regression counts linearly: a flight that is
/// ten hours late should not outweigh a hundred others.
const HUBER_BOUND: f64 = 0.5;
/// Weight of the classification in the loss, beside 1 for the regression.
const CLASS_WEIGHT: f64 = 0.5;

/// What the rows should give.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Arrival delay, standardised as in the configuration, `[rows]`.
    pub arr_delay: Tensor,
    /// 1 for late, else 0, `[rows]`.
    pub late: Tensor,
}

/// Trains `network` on `rows` rows and calls `report` with each epoch and its mean loss.
///
/// The order of the rows comes from `random` alone, and candle adds up in a fixed order, so the same
/// seed on the same kind of processor gives the same weights.
///
/// # Errors
/// When the inputs are not those of the network's configuration, or the loss stops being a number.
pub fn train(
    network: &Network,
    inputs: &Inputs,
    targets: &Targets,
    random: &mut Random,
    mut report: impl FnMut(usize, f32),
) -> Result<()> {
    let settings =
        ParamsAdamW { lr: LEARNING_RATE, weight_decay: WEIGHT_DECAY, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(network.variables(), settings)?;
    let rows = targets.late.dim(0)?;
    let mut order: Vec<u32> = (0..u32::try_from(rows)?).collect();
    let steps = rows / BATCH_ROWS;
    ensure!(steps > 0, "{rows} rows are too few for a batch of {BATCH_ROWS}");
    for epoch in 0..EPOCHS {
        random.shuffle(&mut order);
        let mut total = 0.0;
        for (step, chosen) in order.chunks_exact(BATCH_ROWS).enumerate() {
            let progress = (epoch * steps + step) as f64 / (EPOCHS * steps) as f64;
            optimizer.set_learning_rate(LEARNING_RATE * 0.5 * (1.0 + (PI * progress).cos()));
            let chosen = Tensor::new(chosen, &Device::Cpu)?;
            let logits = network.reference().logits(&inputs.select(&chosen)?)?;
            let loss = loss(&logits, &targets.select(&chosen)?)?;
            optimizer.backward_step(&loss)?;
            total += loss.to_scalar::<f32>()?;
        }
        ensure!(total.is_finite(), "the loss of epoch {epoch} is {total}");
        report(epoch + 1, total / steps as f32);
    }
    Ok(())
}

impl Targets {
    fn select(&self, rows: &Tensor) -> Result<Self> {
        let arr_delay = self.arr_delay.index_select(rows, 0)?;
        Ok(Self { arr_delay, late: self.late.index_select(rows, 0)? })
    }
}

/// Huber loss of logit 0 plus weighted cross entropy of logit 1, each a mean over the rows.
fn loss(logits: &Tensor, targets: &Targets) -> Result<Tensor> {
    let error = (logits.i((.., 0))? - &targets.arr_delay)?.abs()?;
    let inner = error.minimum(HUBER_BOUND)?;
    let huber = ((inner.sqr()? * 0.5)? + ((error - inner)? * HUBER_BOUND)?)?.mean_all()?;
    // max(z, 0) - z·late + ln(1 + e^-|z|): the cross entropy of a sigmoid without overflow.
    let z = logits.i((.., 1))?;
    let tail = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let entropy = ((z.relu()? - (&z * &targets.late)?)? + tail)?.mean_all()?;
    Ok((huber + (entropy * CLASS_WEIGHT)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_a_worked_example() {
        // Errors 0.2 and 2: Huber 0.02 and 0.125 + 1.5 · 0.5. Logits 0 and 100 for late flights:
        // ln 2 and nothing.
        let logits = Tensor::new(&[[0.2_f32, 0.0], [-1.0, 100.0]], &Device::Cpu).unwrap();
        let arr_delay = Tensor::new(&[0.0_f32, 1.0], &Device::Cpu).unwrap();
        let late = Tensor::new(&[1.0_f32, 1.0], &Device::Cpu).unwrap();
        let loss = loss(&logits, &Targets { arr_delay, late }).unwrap();
        let wanted = (0.02 + 0.875) / 2.0 + CLASS_WEIGHT * 2.0_f32.ln() as f64 / 2.0;
        let found = f64::from(loss.to_scalar::<f32>().unwrap());
        assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
    }
}
