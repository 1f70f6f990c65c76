//! What a row asks: its prompt, and how it wants it answered.

use std::sync::Arc;

use nightshift_core::plan::{Ask, GenerateSettings, Prompt};

use super::chat::{Form, Message};
use super::openai;
use super::sample::Sampling;

/// What a row asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) prompt: String,
    /// Whether the tokenizer puts around it what it puts around whole texts. A chat has that in it.
    pub(super) is_whole: bool,
    pub(super) sampling: Sampling,
    pub(super) stops: Arc<[String]>,
    /// Tokens that are written at most.
    pub(super) most: u32,
}

/// How prompts are made of rows.
#[derive(Debug)]
pub(super) struct Asking {
    kind: Kind,
    sampling: Sampling,
    stops: Arc<[String]>,
    most: u32,
}

#[derive(Debug)]
enum Kind {
    Prompt(Prompt),
    Chat { prompt: Prompt, system: Option<String>, form: Form },
    Batch { form: Form },
}

impl Asking {
    /// Whether these settings need a form of chats.
    pub(super) fn chats(settings: &GenerateSettings) -> bool {
        !matches!(settings.ask, Ask::Prompt(_))
    }

    /// As `settings` say, with the form of chats that they need.
    pub(super) fn new(settings: &GenerateSettings, form: Option<Form>) -> Self {
        // A form is there wherever `chats` says so.
        let form = form.unwrap_or(Form::ChatMl { system: None });
        let kind = match settings.ask.clone() {
            Ask::Prompt(prompt) => Kind::Prompt(prompt),
            Ask::Chat { prompt, system } => Kind::Chat { prompt, system, form },
            Ask::OpenaiBatch => Kind::Batch { form },
        };
        let GenerateSettings { temperature, top_p, seed, .. } = *settings;
        Self {
            kind,
            sampling: Sampling { temperature, top_p, seed },
            stops: settings.stop.clone().into(),
            most: settings.max_new_tokens,
        }
    }

    /// Whether rows are requests of OpenAI's Batch API.
    pub(super) fn is_batch(&self) -> bool {
        matches!(self.kind, Kind::Batch { .. })
    }

    /// What a row asks, of which `value` says the value of each column; or what is wrong with it.
    pub(super) fn request<'a>(&self, value: impl Fn(usize) -> &'a str) -> Result<Request, String> {
        let usual = |prompt: String, is_whole: bool| Request {
            prompt,
            is_whole,
            sampling: self.sampling,
            stops: Arc::clone(&self.stops),
            most: self.most,
        };
        match &self.kind {
            Kind::Prompt(prompt) => Ok(usual(prompt.fill(value), true)),
            Kind::Chat { prompt, system, form } => {
                let user = prompt.fill(value);
                let system = system.as_deref().map(|content| Message { role: "system", content });
                let user = Message { role: "user", content: &user };
                let messages: Vec<Message<'_>> = system.into_iter().chain([user]).collect();
                Ok(usual(form.render(&messages), false))
            }
            Kind::Batch { form } => openai::request(value(1), form, usual(String::new(), false)),
        }
    }
}
