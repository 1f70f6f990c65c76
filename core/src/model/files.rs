//! Which files make a model what it is.

/// The file that every model has, unless it is [`ONNX_FILE`].
pub const CONFIG_FILE: &str = "config.json";

/// The file of a model that is a graph of ONNX; it needs no other.
pub const ONNX_FILE: &str = "model.onnx";

/// Extensions of the files that are part of a model. A README or a licence is not one; nor are
/// `.bin`, `.pt`, `.pkl` and `.py`, which can hold code: they are never fetched, hashed or read.
pub const MODEL_EXTENSIONS: [&str; 6] = ["json", "safetensors", "txt", "model", "gguf", "onnx"];

/// Whether the file at `path`, relative to the model's folder and with `/` between its steps, is
/// part of the model: by its extension, in the folder itself or in one of its
/// [module folders](is_model_folder).
pub fn is_model_file(path: &str) -> bool {
    let (folder, name) = match path.split_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, path),
    };
    folder.is_none_or(is_model_folder)
        && !name.contains('/')
        && name
            .rsplit_once('.')
            .is_some_and(|(stem, end)| !stem.is_empty() && MODEL_EXTENSIONS.contains(&end))
}

/// Whether files of these names are a model: one of them says what the others are, or all about
/// its model itself, as an ONNX and a GGUF file do.
pub fn has_main_file<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    let is_gguf = |name: &str| !name.contains('/') && name.ends_with(".gguf");
    names.any(|name| name == CONFIG_FILE || name == ONNX_FILE || is_gguf(name))
}

/// Whether a folder within a model's folder is part of the model: those of the modules of
/// sentence-transformers are, which are named by their position, as in `1_Pooling`. Others hold
/// checkpoints, exports to other formats, or somebody's notes.
pub fn is_model_folder(name: &str) -> bool {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && name.get(digits..).is_some_and(|rest| rest.starts_with('_') && rest.len() > 1)
}

/// Whether a file name can be part of a digest that `sha256sum` can check: it writes names with
/// `\` and control characters in another way.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_control() || c == '\\')
}
