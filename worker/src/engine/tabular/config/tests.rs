use super::*;
use crate::engine::tabular::samples::{categorical, class, datetime, flights, numeric, regression};

const EXAMPLE: &str = r#"{ "format": "nightshift-tabular", "version": 1,
  "features": [
    {"name":"dep_delay","kind":"numeric","mean":12.6,"scale":40.2,"fill":0.0,"indicator":true},
    {"name":"carrier","kind":"categorical","vocabulary":["AA","B6"],"embedding":4,"unknown":"other"},
    {"name":"time_hour","kind":"datetime","parts":["hour","day_of_week","month","day_of_year"]} ],
  "layers": [{"units":64,"activation":"relu"},{"units":32,"activation":"relu"}],
  "outputs": [ {"name":"arr_delay","kind":"regression","mean":6.9,"scale":44.6},
               {"name":"late","kind":"class","labels":["late"]} ] }"#;

#[test]
fn the_example_of_the_manual_is_understood() {
    let config: Config = serde_json::from_str(EXAMPLE).unwrap();
    config.check().unwrap();
    assert_eq!(config.input_width(), 2 + 4 + 8);
    assert_eq!(config.logits_width(), 2);
    let tensors: Vec<String> =
        config.tensors().iter().map(|spec| format!("{} {:?}", spec.name, spec.shape)).collect();
    assert_eq!(
        tensors,
        [
            "embeddings.carrier.weight [3, 4]",
            "layers.0.weight [64, 14]",
            "layers.0.bias [64]",
            "layers.1.weight [32, 64]",
            "layers.1.bias [32]",
            "output.weight [2, 32]",
            "output.bias [2]",
        ]
    );
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
}

#[test]
fn unknown_and_repeated_fields_are_refused() {
    for (from, to, message) in [
        ("\"mean\":12.6", "\"mean\":12.6,\"median\":1", "unknown field `median`"),
        ("\"embedding\":4", "\"embedding\":4,\"dim\":4", "unknown field `dim`"),
        ("\"labels\"", "\"classes\"", "unknown field `classes`"),
        ("\"version\": 1", "\"version\": 1, \"extra\": 2", "unknown field `extra`"),
        ("\"units\":64", "\"units\":64,\"dropout\":0.1", "unknown field `dropout`"),
        ("\"mean\":12.6", "\"mean\":12.6,\"mean\":1", "duplicate field `mean`"),
        ("\"units\":64", "\"units\":-64", "invalid value"),
        ("\"relu\"", "\"swish\"", "unknown variant `swish`"),
        ("\"hour\"", "\"minute\"", "unknown variant `minute`"),
        ("\"numeric\"", "\"number\"", "unknown variant `number`"),
        ("\"scale\":40.2", "\"scale\":1e999", "number out of range"),
    ] {
        let text = EXAMPLE.replacen(from, to, 1);
        let error = serde_json::from_str::<Config>(&text).unwrap_err().to_string();
        assert!(error.contains(message), "{to}: {error}");
    }
}

fn refused(change: impl FnOnce(&mut Config)) -> ConfigError {
    let mut config = flights(Activation::Relu);
    config.check().unwrap();
    change(&mut config);
    config.check().unwrap_err()
}

fn number(name: &str, change: impl FnOnce(&mut NumericFeature)) -> Feature {
    let Feature::Numeric(mut feature) = numeric(name, Some(0.0)) else { unreachable!() };
    change(&mut feature);
    Feature::Numeric(feature)
}

#[test]
fn what_cannot_be_built_is_refused_with_the_field_and_the_remedy() {
    let vocabulary: Vec<String> = (0..=VOCABULARY_MAX).map(|i| i.to_string()).collect();
    let wide = |name: &str, embedding| {
        let Feature::Categorical(mut feature) = categorical(name, &["a"], Unknown::Reject) else {
            unreachable!()
        };
        feature.embedding = embedding;
        Feature::Categorical(feature)
    };
    let layer = |units| Layer { units, activation: Activation::Relu };
    let output =
        |mean, scale| Output::Regression(RegressionOutput { name: "y".into(), mean, scale });
    type Change<'a> = Box<dyn FnOnce(&mut Config) + 'a>;
    let cases: Vec<(&str, Change<'_>)> = vec![
        ("it must be `nightshift-tabular`", Box::new(|c| c.format = "onnx".into())),
        ("`version` is 2", Box::new(|c| c.version = 2)),
        ("number of features is 0: use 1 to 4096", Box::new(|c| c.features.clear())),
        (
            "number of features is 4097",
            Box::new(|c| {
                c.features = (0..=FEATURES_MAX).map(|i| numeric(&i.to_string(), None)).collect();
            }),
        ),
        (
            "feature `carrier` is there twice",
            Box::new(|c| c.features.push(numeric("carrier", None))),
        ),
        ("name of a feature is empty", Box::new(|c| c.features.push(numeric("", None)))),
        (
            "`scale` of feature `x` is 0: use a finite number other than 0",
            Box::new(|c| {
                c.features.push(number("x", |feature| feature.scale = 0.0));
            }),
        ),
        (
            "`scale` of feature `x` is inf",
            Box::new(|c| {
                c.features.push(number("x", |feature| feature.scale = f64::INFINITY));
            }),
        ),
        (
            "`scale` of feature `x` is",
            Box::new(|c| {
                c.features.push(number("x", |feature| feature.scale = 1e-310));
            }),
        ),
        (
            "`mean` of feature `x` is NaN",
            Box::new(|c| {
                c.features.push(number("x", |feature| feature.mean = f64::NAN));
            }),
        ),
        (
            "`fill` of feature `x`, standardised, is",
            Box::new(|c| {
                c.features.push(number("x", |feature| feature.fill = Some(1e300)));
            }),
        ),
        (
            "has an indicator but no fill",
            Box::new(|c| {
                c.features.push(number("x", |feature| feature.fill = None));
            }),
        ),
        (
            "number of categories of feature `x` is 0",
            Box::new(|c| {
                c.features.push(categorical("x", &[], Unknown::Other));
            }),
        ),
        (
            "number of categories of feature `x` is 1000001: use 1 to 1000000",
            Box::new(|c| {
                let vocabulary: Vec<&str> = vocabulary.iter().map(String::as_str).collect();
                c.features.push(categorical("x", &vocabulary, Unknown::Other));
            }),
        ),
        (
            "in feature `x`, category `a` is there twice",
            Box::new(|c| {
                c.features.push(categorical("x", &["a", "b", "a"], Unknown::Other));
            }),
        ),
        ("`embedding` of feature `x` is 0", Box::new(|c| c.features.push(wide("x", 0)))),
        (
            "`embedding` of feature `x` is 1025: use 1 to 1024",
            Box::new(|c| {
                c.features.push(wide("x", EMBEDDING_MAX + 1));
            }),
        ),
        (
            "number of inputs is",
            Box::new(|c| {
                c.features.extend((0..64).map(|i| wide(&i.to_string(), EMBEDDING_MAX)));
            }),
        ),
        (
            "`parts` of feature `x` is empty",
            Box::new(|c| c.features.push(datetime("x", &[], None))),
        ),
        (
            "part `Hour` is there twice",
            Box::new(|c| {
                c.features.push(datetime("x", &[DatetimePart::Hour; 2], None));
            }),
        ),
        (
            "the fill of feature `x` is `noon`",
            Box::new(|c| {
                c.features.push(datetime("x", &[DatetimePart::Hour], Some("noon")));
            }),
        ),
        ("number of layers is 33: use 1 to 32", Box::new(|c| c.layers = vec![layer(1); 33])),
        ("`units` of layer 1 is 0", Box::new(|c| c.layers = vec![layer(1), layer(0)])),
        (
            "`units` of layer 0 is 18446744073709551615: use 1 to 8192",
            Box::new(|c| {
                c.layers = vec![layer(usize::MAX)];
            }),
        ),
        ("size of the weights in bytes is", Box::new(|c| c.layers = vec![layer(8192); 32])),
        ("number of outputs is 0", Box::new(|c| c.outputs.clear())),
        ("name of an output is empty", Box::new(|c| c.outputs.push(regression("")))),
        ("`scale` of output `y` is 0", Box::new(|c| c.outputs.push(output(0.0, 0.0)))),
        ("`mean` of output `y` is inf", Box::new(|c| c.outputs.push(output(1e39, 1.0)))),
        ("number of labels of output `c` is 0", Box::new(|c| c.outputs.push(class("c", &[])))),
        (
            "in output `c`, label `a` is there twice",
            Box::new(|c| {
                c.outputs.push(class("c", &["a", "a"]));
            }),
        ),
        ("output column `late` is there twice", Box::new(|c| c.outputs.push(regression("late")))),
        (
            "output column `size_s` is there twice",
            Box::new(|c| c.outputs.push(regression("size_s"))),
        ),
        (
            "number of logits is",
            Box::new(|c| {
                c.outputs.extend((0..LOGITS_MAX - 3).map(|i| regression(&i.to_string())));
            }),
        ),
    ];
    for (message, change) in cases {
        let error = refused(change).to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn long_names_do_not_make_long_messages() {
    let error = refused(|c| c.format = "x".repeat(1 << 20)).to_string();
    assert!(error.len() < 500, "{} bytes", error.len());
}
