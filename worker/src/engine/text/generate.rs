//! Models that write: a prompt made of columns, to the text that follows it.
//!
//! In the order in which data flows: `source` reads a folder, of safetensors or of one [`gguf`]
//! file; `asking` makes a prompt of a row, as it is or as a `chat`; `words` turns text into tokens
//! and tokens into bytes; `decode` writes several rows side by side, token by token, each chosen by
//! `sample` and put together by `writing`; `engine` does it all for a batch.
//!
//! What is written depends on the prompt and the settings alone: the layers give each row the same
//! bits beside any other rows, and what is drawn by chance is drawn by a hash of the seed, the
//! prompt and the number of the token.

mod asking;
mod chat;
mod decode;
mod engine;
pub(super) mod gguf;
mod openai;
mod sample;
mod source;
mod words;
mod writing;

pub use engine::GenerateEngine;
pub use gguf::GgufError;

#[cfg(test)]
mod tests;
