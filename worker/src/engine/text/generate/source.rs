//! The files of a model that writes: a folder of transformers, or one GGUF file.

use nightshift_core::model::CONFIG_FILE;
use nightshift_kernels::Isa;
use nightshift_kernels::matrix::{Matrix, Precision};
use serde::Deserialize;
use serde_json::Value;

use super::chat::Form;
use super::gguf::{Described, Gguf};
use super::words::Words;
use crate::engine::LoadError;
use crate::engine::text::TextError;
use crate::engine::text::config::Config;
use crate::engine::text::family::Purpose;
use crate::engine::text::folder::{
    Folder, GENERATION_FILE, TOKENIZER_FILE, TOKENIZER_SETTINGS_FILE,
};
use crate::engine::text::settings::unsupported;
use crate::engine::text::shape::Shape;
use crate::engine::text::transformer::Transformer;
use crate::engine::text::weights::Weights;

/// Most tokens that end a text.
const ENDS_MAX: usize = 64;

/// What is read before the weights.
pub(super) struct Source {
    pub(super) shape: Shape,
    pub(super) words: Words,
    pub(super) form: Option<Form>,
    /// Tokens that end a text.
    pub(super) ends: Vec<u32>,
    /// Whether words are scored by the table that they are looked up in.
    is_tied: bool,
    gguf: Option<Gguf>,
}

#[derive(Default, Deserialize)]
struct TokenizerSettings {
    #[serde(default)]
    chat_template: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Generation {
    #[serde(default)]
    eos_token_id: Option<Value>,
}

impl Source {
    /// Reads `folder`, for chats if `chats`.
    pub(super) fn read(folder: &mut Folder<'_>, chats: bool) -> Result<Self, LoadError> {
        match folder.gguf()? {
            Some(file) => {
                let gguf = Gguf::read(file)?;
                let source = Self::of_gguf(&gguf, chats).map_err(|e| gguf.refused(e))?;
                Ok(Self { gguf: Some(gguf), ..source })
            }
            None => Self::of_folder(folder, chats),
        }
    }

    fn of_folder(folder: &mut Folder<'_>, chats: bool) -> Result<Self, LoadError> {
        let config: Config = folder.required(CONFIG_FILE)?;
        let shape = config.shape(Purpose::Generate);
        let shape = shape.map_err(|source| folder.error(CONFIG_FILE, source))?;
        let settings: Option<TokenizerSettings> = folder.optional(TOKENIZER_SETTINGS_FILE)?;
        let generation: Option<Generation> = folder.optional(GENERATION_FILE)?;
        let json = folder.tokenizer()?;
        let words = Words::new(&json, shape.vocabulary);
        let words = words.map_err(|source| folder.error(TOKENIZER_FILE, source))?;
        let template = settings.and_then(|settings| settings.chat_template);
        let form = match chats {
            true => Some(form(template.as_ref().and_then(Value::as_str))),
            false => None,
        };
        let form = form.transpose().map_err(|e| folder.error(TOKENIZER_SETTINGS_FILE, e))?;
        // What the file for generation says comes first: that is what it is for.
        let said = generation.and_then(|own| own.eos_token_id).or(config.eos_token_id.clone());
        let ends = numbers(said.as_ref()).map_err(|source| folder.error(CONFIG_FILE, source))?;
        let is_tied = config.tie_word_embeddings;
        Ok(Self { shape, words, form, ends, is_tied, gguf: None }.ended())
    }

    fn of_gguf(gguf: &Gguf, chats: bool) -> Result<Self, TextError> {
        let described = Described::of(gguf)?;
        let config: Config = serde_json::from_value(described.config)
            .map_err(|source| TextError::Json { source })?;
        let shape = config.shape(Purpose::Generate)?;
        let words = Words::new(&described.tokenizer, shape.vocabulary)?;
        let form = if chats { Some(form(described.chat.as_deref())?) } else { None };
        let (ends, is_tied) = (described.ends, config.tie_word_embeddings);
        Ok(Self { shape, words, form, ends, is_tied, gguf: None }.ended())
    }

    /// With the token that ends what a model says in a chat.
    fn ended(mut self) -> Self {
        let end = self.form.as_ref().and_then(|form| self.words.named(form.end()));
        if let Some(end) = end.filter(|end| !self.ends.contains(end)) {
            self.ends.push(end);
        }
        self
    }

    /// The layers, for texts of at most `places` tokens, and the matrix that scores words.
    pub(super) fn layers(
        &self,
        folder: &mut Folder<'_>,
        places: usize,
        precision: Precision,
        isa: Isa,
    ) -> Result<(Transformer, Matrix), LoadError> {
        let made = |weights: &Weights<'_>| {
            self.made(weights, places, precision, isa).map_err(|source| weights.refused(source))
        };
        match &self.gguf {
            Some(gguf) => {
                folder.hashed(std::slice::from_ref(gguf.file()), || made(&Weights::of_gguf(gguf)))
            }
            None => {
                let files = folder.weights()?;
                folder
                    .hashed(&files, || made(&Weights::of_files(&files, &self.shape.family.names)?))
            }
        }
    }

    fn made(
        &self,
        weights: &Weights<'_>,
        places: usize,
        precision: Precision,
        isa: Isa,
    ) -> Result<(Transformer, Matrix), crate::engine::tabular::WeightsError> {
        let layers = Transformer::new(self.shape.clone(), places, weights, precision, isa)?;
        let head = match self.is_tied {
            true => layers.words_as_matrix(),
            false => {
                let (words, hidden) = (self.shape.vocabulary, self.shape.hidden);
                let numbers = weights.take_whole("lm_head.weight", &[words, hidden])?;
                Matrix::pack(precision, words, hidden, &numbers, &[])
            }
        };
        Ok((layers, head))
    }
}

/// The form of chats of a template.
fn form(template: Option<&str>) -> Result<Form, TextError> {
    match template {
        Some(template) => Form::of(template),
        None => unsupported("chat_template", "absent", "chats with models that have one"),
    }
}

/// The numbers of tokens, of which there may be one, several or none.
fn numbers(said: Option<&Value>) -> Result<Vec<u32>, TextError> {
    let number = |value: &Value| value.as_u64().and_then(|it| u32::try_from(it).ok());
    let found: Option<Vec<u32>> = match said {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(several)) => several.iter().map(number).collect(),
        Some(one) => number(one).map(|one| vec![one]),
    };
    match found.filter(|found| found.len() <= ENDS_MAX) {
        Some(found) => Ok(found),
        None => unsupported("eos_token_id", "another value", "a number or a short list of them"),
    }
}
