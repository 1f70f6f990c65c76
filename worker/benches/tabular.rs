//! Rows per second of the tabular engine on one core: `cargo bench -p nightshift-worker --bench
//! tabular`.
//!
//! The model has about 20 inputs, hidden layers of 64 and 32 units, one regression and one
//! class. Times are the best of many rounds over the same batch, which stays in the cache:
//! they show what the code costs, not what memory costs. Candle, the reference, uses as many
//! threads as `RAYON_NUM_THREADS` says; set it to 1 to compare cores.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use candle_core::{Device, Tensor};
use nightshift_worker::engine::Engine;
use nightshift_worker::engine::tabular::{
    Activation, CategoricalFeature, ClassOutput, Config, DatetimeFeature, DatetimePart, Feature,
    Featurizer, Inputs, Layer, Model, NumericFeature, Output, Reference, RegressionOutput,
    TabularEngine, Unknown, save,
};

/// Rows of the batch.
const ROWS: usize = 8192;
/// How long each measurement is repeated; the best round counts, so that other work on the
/// machine matters little.
const ENOUGH: Duration = Duration::from_secs(1);

/// A stream of numbers, the same on every machine (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Between -1 and 1.
    fn unit(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 30) as f64 - 1.0
    }
}

const CARRIERS: [&str; 16] = [
    "9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV",
];

fn numeric(name: String) -> Feature {
    let (mean, scale) = (12.5, 40.25);
    Feature::Numeric(NumericFeature { name, mean, scale, fill: Some(0.0), indicator: false })
}

fn categorical(name: &str) -> Feature {
    Feature::Categorical(CategoricalFeature {
        name: name.to_owned(),
        vocabulary: CARRIERS.iter().map(|&text| text.to_owned()).collect(),
        embedding: 4,
        unknown: Unknown::Other,
    })
}

fn config(features: Vec<Feature>) -> Config {
    let layer = |units| Layer { units, activation: Activation::Relu };
    let (mean, scale) = (6.9, 44.6);
    let outputs = vec![
        Output::Regression(RegressionOutput { name: "arr_delay".into(), mean, scale }),
        Output::Class(ClassOutput { name: "late".into(), labels: vec!["late".into()] }),
    ];
    Config::new(features, vec![layer(64), layer(32)], outputs)
}

/// Twenty floats, nothing missing: the least that featurising can cost.
fn plain() -> Result<(Config, RecordBatch), Box<dyn Error>> {
    let mut random = Random(1);
    let features = (0..20).map(|i| numeric(format!("x{i}"))).collect();
    let columns = (0..20).map(|i| {
        let values = Float64Array::from_iter_values((0..ROWS).map(|_| 90.0 * random.unit()));
        (format!("x{i}"), Arc::new(values) as ArrayRef)
    });
    Ok((config(features), RecordBatch::try_from_iter(columns)?))
}

/// Ten numbers of which one in a hundred is missing, text, a dictionary, a timestamp.
fn mixed() -> Result<(Config, RecordBatch), Box<dyn Error>> {
    let mut random = Random(2);
    let mut features: Vec<Feature> = (0..10).map(|i| numeric(format!("x{i}"))).collect();
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for i in 0..10 {
        let mut value = || (!random.next().is_multiple_of(100)).then(|| 90.0 * random.unit());
        let name = format!("x{i}");
        if i % 2 == 0 {
            columns.push((name, Arc::new((0..ROWS).map(|_| value()).collect::<Float64Array>())));
        } else {
            let integers = (0..ROWS).map(|_| value().map(|x| x as i64));
            columns.push((name, Arc::new(integers.collect::<Int64Array>())));
        }
    }
    let mut carrier = || CARRIERS[random.next() as usize % CARRIERS.len()];
    let text = StringArray::from_iter_values((0..ROWS).map(|_| carrier()));
    let coded: DictionaryArray<Int32Type> = (0..ROWS).map(|_| carrier()).collect();
    columns.push(("carrier".into(), Arc::new(text)));
    columns.push(("coded".into(), Arc::new(coded)));
    let start = 1_357_016_400_000_000;
    let hours = (0..ROWS as i64).map(|row| start + row * 10 * 1_000_000);
    columns.push(("at".into(), Arc::new(TimestampMicrosecondArray::from_iter_values(hours))));
    features.push(categorical("carrier"));
    features.push(categorical("coded"));
    let parts = vec![DatetimePart::Hour];
    features.push(Feature::Datetime(DatetimeFeature { name: "at".into(), parts, fill: None }));
    Ok((config(features), RecordBatch::try_from_iter(columns)?))
}

fn model(config: &Config) -> Result<Model, Box<dyn Error>> {
    let mut random = Random(3);
    let mut tensors = HashMap::new();
    for spec in config.tensors() {
        let values: Vec<f32> = (0..spec.elements()).map(|_| 0.3 * random.unit() as f32).collect();
        tensors.insert(spec.name, Tensor::from_vec(values, spec.shape, &Device::Cpu)?);
    }
    let dir = tempfile::tempdir()?;
    save(dir.path(), config, &tensors)?;
    Ok(Model::load(dir.path())?)
}

/// Best nanoseconds a row.
fn time<T>(mut work: impl FnMut() -> T) -> f64 {
    let began = Instant::now();
    let mut best = f64::INFINITY;
    while began.elapsed() < ENOUGH {
        let start = Instant::now();
        std::hint::black_box(work());
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / ROWS as f64
}

fn measure(name: &str, (config, batch): (Config, RecordBatch)) -> Result<(), Box<dyn Error>> {
    let model = model(&config)?;
    let multiply_adds: usize = config.dense_layers().map(|(units, inputs, _)| units * inputs).sum();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{name}: {} inputs, {multiply_adds} multiply-adds a row", config.input_width())?;
    let mut line = |what: &str, nanoseconds: f64| {
        let rows = 1e3 / nanoseconds;
        let flops = 2.0 * multiply_adds as f64 / nanoseconds;
        writeln!(
            out,
            "  {what:<22} {nanoseconds:8.1} ns/row {rows:8.2} M rows/s {flops:8.1} GFLOP/s"
        )
    };
    let featurizer = Featurizer::new(&config)?;
    let reference = Reference::new(&config, model.tensors())?;
    line("featurise, row-major", time(|| featurizer.featurize(&batch)))?;
    let all = || -> Result<_, Box<dyn Error>> {
        let inputs = Inputs::new(&featurizer.featurize(&batch)?, &Device::Cpu)?;
        Ok(reference.predictions(&reference.logits(&inputs)?)?)
    };
    line("reference (candle)", time(all))?;
    for engine in TabularEngine::for_each_instruction_set(&model)? {
        let what = format!("fused, {}", engine.instruction_set());
        line(&what, time(|| engine.run(&batch)))?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    measure("twenty floats", plain()?)?;
    measure("mixed columns", mixed()?)
}
