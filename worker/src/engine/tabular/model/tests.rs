use nightshift_core::spec::Task;
use std::error::Error as _;

use candle_core::{DType, Device};

use super::*;
use crate::engine::ErrorClass;
use crate::engine::tabular::Activation;
use crate::engine::tabular::samples::{flights, tensors};

fn saved() -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let config = flights(Activation::Relu);
    save(dir.path(), &config, &tensors(&config, 1)).unwrap();
    (dir, config)
}

fn refused(dir: &Path) -> LoadError {
    let error = crate::engine::load(dir, &Task::Tabular).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(dir.to_str().unwrap()), "{error}");
    error
}

#[test]
fn what_is_saved_is_loaded_and_is_the_same_bytes_each_time() {
    let (dir, config) = saved();
    let model = Model::load(dir.path()).unwrap();
    assert_eq!(*model.config(), config);
    for (name, tensor) in tensors(&config, 1) {
        let loaded = weights::values(&model.tensors()[&name]).unwrap();
        assert_eq!(loaded, weights::values(&tensor).unwrap(), "{name}");
    }
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let bytes = |dir: &Path| [CONFIG_FILE, WEIGHTS_FILE].map(|f| fs::read(dir.join(f)).unwrap());
    let (other, _) = saved();
    assert_eq!(bytes(dir.path()), bytes(other.path()));
    // Over an older model.
    save(dir.path(), &config, &tensors(&config, 2)).unwrap();
    assert_ne!(bytes(dir.path()), bytes(other.path()));
}

#[test]
fn a_directory_that_is_none_is_refused() {
    let (dir, _) = saved();
    let error = refused(&dir.path().join("absent"));
    assert!(matches!(error, LoadError::NotFound { .. }), "{error}");
    let error = refused(&dir.path().join(CONFIG_FILE));
    assert!(matches!(error, LoadError::NotADirectory { .. }), "{error}");
    let error = refused(&dir.path().join(CONFIG_FILE).join("below"));
    assert!(matches!(error, LoadError::NotADirectory { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Configuration);
}

#[test]
fn files_that_are_absent_empty_or_no_files_are_refused_by_name() {
    for file in [CONFIG_FILE, WEIGHTS_FILE] {
        let (dir, _) = saved();
        let path = dir.path().join(file);
        fs::write(&path, b"").unwrap();
        let error = refused(dir.path());
        assert!(matches!(&error, LoadError::Empty { path: named } if *named == path), "{error}");
        fs::remove_file(&path).unwrap();
        let error = refused(dir.path());
        assert!(matches!(&error, LoadError::MissingFile { path: named } if *named == path));
        fs::create_dir(&path).unwrap();
        let error = refused(dir.path());
        assert!(matches!(&error, LoadError::NotAFile { path: named } if *named == path), "{error}");
    }
}

#[test]
fn files_larger_than_any_model_are_refused_unread() {
    for (file, max) in [(CONFIG_FILE, CONFIG_BYTES_MAX), (WEIGHTS_FILE, FILE_BYTES_MAX)] {
        let (dir, _) = saved();
        // A hole takes no room on the disk.
        let sparse = fs::OpenOptions::new().write(true).open(dir.path().join(file)).unwrap();
        sparse.set_len(max + 1).unwrap();
        let error = refused(dir.path());
        assert!(matches!(error, LoadError::TooLarge { max_bytes, .. } if max_bytes == max));
    }
}

#[test]
fn descriptions_of_other_models_are_refused_with_what_they_are() {
    let cases = [
        ("{", "is not a description"),
        ("[1, 2]", "is not a description"),
        (r#"{"format": 7}"#, "is not a description"),
        (r#"{"architectures": ["BertModel"]}"#, "has no field `format`"),
        (r#"{"format": "gguf"}"#, "has the format `gguf`"),
        (r#"{"format": "nightshift-tabular"}"#, "is not a description"),
        (
            r#"{"format": "nightshift-tabular", "version": 9, "features": [], "outputs": []}"#,
            "cannot be built",
        ),
    ];
    for (json, message) in cases {
        let (dir, _) = saved();
        fs::write(dir.path().join(CONFIG_FILE), json).unwrap();
        let error = refused(dir.path());
        assert!(error.to_string().contains(message), "{json}: {error}");
        assert_eq!(error.class(), ErrorClass::Configuration);
    }
    let (dir, _) = saved();
    let deep = r#"{"x":"#.to_owned() + &"[".repeat(1 << 20);
    fs::write(dir.path().join(CONFIG_FILE), deep).unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, LoadError::ConfigJson { .. }), "{error}");
}

#[test]
fn weights_of_another_model_are_refused() {
    let (dir, mut config) = saved();
    config.layers[0].units += 1;
    fs::write(dir.path().join(CONFIG_FILE), serde_json::to_vec(&config).unwrap()).unwrap();
    let error = refused(dir.path());
    let source = error.source().unwrap().to_string();
    assert!(source.contains("`layers.0.weight` has shape [13, 17]"), "{source}");
    assert!(!error.to_string().contains("layers.0"), "an error repeats its source");
}

#[test]
fn a_model_that_could_not_be_loaded_is_not_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = flights(Activation::Relu);
    let mut weights = tensors(&config, 1);
    let integers = weights["output.bias"].to_dtype(DType::I64).unwrap();
    weights.insert("output.bias".into(), integers);
    assert!(matches!(save(dir.path(), &config, &weights), Err(SaveError::Weights { .. })));
    let nan = Tensor::from_slice(&[f32::NAN; 5], 5, &Device::Cpu).unwrap();
    weights.insert("output.bias".into(), nan);
    assert!(matches!(save(dir.path(), &config, &weights), Err(SaveError::Weights { .. })));
    weights.remove("output.bias");
    assert!(matches!(save(dir.path(), &config, &weights), Err(SaveError::Weights { .. })));
    config.version = 0;
    assert!(matches!(save(dir.path(), &config, &weights), Err(SaveError::Config { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn models_in_half_precision_are_loaded() {
    let (dir, config) = saved();
    let half = |(name, tensor): (String, Tensor)| (name, tensor.to_dtype(DType::BF16).unwrap());
    let half: HashMap<_, _> = tensors(&config, 1).into_iter().map(half).collect();
    save(dir.path(), &config, &half).unwrap();
    let loaded = Model::load(dir.path()).unwrap();
    assert!(loaded.tensors().values().all(|tensor| tensor.dtype() == DType::F32));
    assert!(crate::engine::load(dir.path(), &Task::Tabular).is_ok());
}
