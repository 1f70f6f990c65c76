use candle_core::{Var, backprop::GradStore};

use super::*;
use crate::engine::tabular::Featurizer;
use crate::engine::tabular::samples::{Flight, batch, flights, tensors};

fn inputs(config: &Config) -> Inputs {
    let flight = |i: i64| Flight {
        dep_delay: Some(i as f64),
        carrier: Some("B6".into()),
        time_hour: Some(1_357_016_400 + i * 86_400),
        origin: Some("LGA".into()),
        distance: Some(10 * i),
    };
    let batch = batch(&(0..10).map(flight).collect::<Vec<_>>());
    Inputs::new(&Featurizer::new(config).unwrap().featurize(&batch).unwrap(), &Device::Cpu).unwrap()
}

#[test]
fn selected_rows_are_the_rows_themselves() {
    let config = flights(Activation::Gelu);
    let reference = Reference::new(&config, &tensors(&config, 1)).unwrap();
    let all = inputs(&config);
    let positions = Tensor::new(&[7_u32, 0, 7], &Device::Cpu).unwrap();
    let some = all.select(&positions).unwrap();
    assert_eq!((all.rows(), some.rows()), (10, 3));
    let whole = reference.first_layer_inputs(&all).unwrap().to_vec2::<f32>().unwrap();
    let part = reference.first_layer_inputs(&some).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(part, [&whole[7][..], &whole[0], &whole[7]]);
    assert_eq!(whole[0].len(), config.input_width());
}

#[test]
fn gradients_reach_every_tensor_and_steps_are_followed() {
    let config = flights(Activation::Tanh);
    let vars: HashMap<String, Var> = tensors(&config, 1)
        .into_iter()
        .map(|(name, tensor)| (name, Var::from_tensor(&tensor).unwrap()))
        .collect();
    let shared = vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let reference = Reference::new(&config, &shared).unwrap();
    let inputs = inputs(&config);
    let loss = || reference.logits(&inputs).unwrap().sqr().unwrap().mean_all().unwrap();
    let before = loss();
    let gradients: GradStore = before.backward().unwrap();
    for (name, var) in &vars {
        let gradient = gradients.get(var).unwrap_or_else(|| panic!("no gradient for {name}"));
        let step = (gradient * 0.01).unwrap();
        var.set(&(var.as_tensor() - step).unwrap()).unwrap();
    }
    let (before, after) = (before.to_scalar::<f32>().unwrap(), loss().to_scalar::<f32>().unwrap());
    assert!(after < before, "{after} is not below {before}");
}

#[test]
fn tensors_of_another_configuration_are_refused() {
    let config = flights(Activation::Relu);
    let mut other = config.clone();
    other.layers.pop();
    let error = Reference::new(&config, &tensors(&other, 1)).unwrap_err();
    assert!(matches!(error, ModelError::Weights { .. }));
    other.outputs.clear();
    let error = Reference::new(&other, &HashMap::new()).unwrap_err();
    assert!(matches!(error, ModelError::Config { .. }));
}
