//! `nightshift-train-flights`: trains the model of the flights example, or measures it again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use clap::{Parser, Subcommand};
use nightshift_train_flights::baseline::Baselines;
use nightshift_train_flights::flights::{Day, LATE_MINUTES, landed, numbers, read_days};
use nightshift_train_flights::network::Network;
use nightshift_train_flights::random::Random;
use nightshift_train_flights::results::{MODEL, Measured, Results, measure, table};
use nightshift_train_flights::scorer::Scorer;
use nightshift_train_flights::split::{HeldOut, Purpose, held_out, purpose};
use nightshift_train_flights::{design, inputs, missing, training};
use nightshift_worker::engine::tabular;

/// Seed of everything that is drawn: rows repeated, first weights, order of the rows.
const SEED: u64 = 2013;

/// Trains the model of the flights example, or measures it again.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The example's folder, with data/, models/ and results.json
    #[arg(long, global = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    example: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train, write models/delay-mlp and results.json, print the table
    Train {
        /// What `make_data.py --months 1..12 --out FOLDER` wrote
        #[arg(value_name = "FOLDER")]
        flights: PathBuf,
    },
    /// Measure models/delay-mlp as it is and print the table
    Measure {
        /// What `make_data.py --months 1..12 --out FOLDER` wrote; without it, only the committed days
        #[arg(value_name = "FOLDER")]
        flights: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let example = &arguments.example;
    let model = example.join("models/delay-mlp");
    let january = read_days(&example.join("data"))?;
    let results = match arguments.command {
        Command::Train { flights } => {
            let days = read_days(&flights)?;
            let mut results = train(&days, &model)?;
            results.measured =
                measure_all(&model, &results.baselines, &held_out(&january, &days)?)?;
            results.write(&example.join("results.json"))?;
            results
        }
        Command::Measure { flights } => {
            let days = flights.map(|flights| read_days(&flights)).transpose()?.unwrap_or_default();
            let mut results = Results::read(&example.join("results.json"))?;
            results.measured =
                measure_all(&model, &results.baselines, &held_out(&january, &days)?)?;
            results
        }
    };
    io::stdout().write_all(table(&results.measured).as_bytes()).context("cannot print the table")
}

/// Trains on the training days among `days` and saves the model.
fn train(days: &[Day], model: &Path) -> Result<Results> {
    let teaching: Vec<&Day> =
        days.iter().filter(|day| purpose(day.date) == Purpose::Training).collect();
    let flights = landed(teaching.iter().copied())?;
    let config = design::config(&flights)?;
    let baselines = fit_baselines(&flights, &config)?;

    let mut random = Random::new(SEED);
    let categories = design::CATEGORIES.map(|(name, _)| name);
    let rows = missing::with_unknowns(&flights, &categories, &mut random)?;
    let network = Network::new(&config, &mut random)?;
    let (inputs, targets) = (inputs::inputs(&config, &rows)?, inputs::targets(&config, &rows)?);
    training::train(&network, &inputs, &targets, &mut random, |epoch, loss| {
        // Progress is a courtesy: a closed pipe must not end the training.
        let _ = writeln!(io::stderr(), "epoch {epoch} of {}: loss {loss:.4}", training::EPOCHS);
    })?;
    tabular::save(model, &config, &network.tensors())?;
    Ok(Results {
        training_flights: flights.num_rows(),
        training_days: teaching.len(),
        baselines,
        measured: Vec::new(),
    })
}

fn fit_baselines(flights: &RecordBatch, config: &tabular::Config) -> Result<Baselines> {
    let fill = config.features.iter().find_map(|feature| match feature {
        tabular::Feature::Numeric(numeric) if numeric.name == "dep_delay" => numeric.fill,
        _ => None,
    });
    let fill = fill.context("the configuration has no fill for `dep_delay`")?;
    let dep_delay = numbers(flights, "dep_delay", fill)?;
    let arr_delay = numbers(flights, "arr_delay", f64::NAN)?;
    let late: Vec<bool> = arr_delay.iter().map(|&minutes| minutes >= LATE_MINUTES).collect();
    Ok(Baselines::fit(&dep_delay, fill, &arr_delay, &late))
}

/// Measures both baselines and the saved model, loaded as a worker loads it, on each set.
fn measure_all(model: &Path, baselines: &Baselines, sets: &[HeldOut]) -> Result<Vec<Measured>> {
    let scorer = Scorer::load(model)?;
    let mut measured = Vec::new();
    for HeldOut { name, flights } in sets {
        for (predictor, predicted) in baselines.predict(flights)? {
            measured.push(measure(name, predictor, &predicted, flights)?);
        }
        let predicted = scorer.predict(flights)?;
        measured.push(measure(name, MODEL, &predicted, flights)?);
    }
    Ok(measured)
}
