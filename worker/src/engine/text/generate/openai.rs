//! Requests in the shape of OpenAI's Batch API
//! (<https://platform.openai.com/docs/guides/batch>): the body of a line, and its answer.

use serde::Deserialize;
use serde_json::{Value, json};

use super::asking::Request;
use super::chat::{Form, Message};
use super::writing::Written;

/// Most messages of a chat.
const MESSAGES_MAX: usize = 1_024;
/// Most texts that end an answer, and most bytes of one.
const STOPS_MAX: usize = 16;
const STOP_BYTES_MAX: usize = 256;

/// The body of a request for `/v1/chat/completions`, as far as it matters.
#[derive(Deserialize)]
struct Body {
    messages: Vec<Said>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    stop: Option<Stops>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    response_format: Option<Value>,
}

#[derive(Deserialize)]
struct Said {
    role: String,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stops {
    One(String),
    Several(Vec<String>),
}

/// The answer to a request of so many tokens, as the field `response` of a line has it. There is no
/// time in it: the answer is the same on every try.
pub(super) fn response(tokens: usize, written: &Written) -> String {
    let own = written.ids.len();
    json!({
        "status_code": 200,
        "body": {
            "object": "chat.completion",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": written.text},
                "finish_reason": written.finish.as_str(),
            }],
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": own,
                "total_tokens": tokens + own,
            },
        },
    })
    .to_string()
}

/// What the request `body` asks, and `usual` where it does not say; or what is wrong with it.
///
/// What cannot be given is refused, rather than left out of the answer.
pub(super) fn request(body: &str, form: &Form, usual: Request) -> Result<Request, String> {
    let body: Body = serde_json::from_str(body).map_err(|error| format!("body: {error}"))?;
    let refused = [
        ("n", body.n.is_some_and(|n| n != 1)),
        ("stream", body.stream == Some(true)),
        ("logprobs", body.logprobs == Some(true)),
        ("tools", body.tools.is_some_and(|tools| !tools.is_empty())),
        (
            "response_format",
            body.response_format
                .is_some_and(|format| format.get("type").is_none_or(|kind| kind != "text")),
        ),
    ];
    if let Some((field, _)) = refused.iter().find(|(_, is_refused)| *is_refused) {
        return Err(format!("body: `{field}` is not supported"));
    }
    if body.messages.is_empty() || body.messages.len() > MESSAGES_MAX {
        return Err(format!("body: there are {} messages", body.messages.len()));
    }
    let texts = body.messages.into_iter().map(|said| {
        let role = match said.role.as_str() {
            // What newer models call the system.
            "developer" => "system",
            "system" => "system",
            "user" => "user",
            "assistant" => "assistant",
            _ => return Err("body: a message has another role than system, user or assistant"),
        };
        let content = match said.content {
            Content::Text(text) => text,
            Content::Parts(parts) => {
                if parts.iter().any(|part| part.kind != "text") {
                    return Err("body: a message has another content than text");
                }
                parts.into_iter().map(|part| part.text).collect()
            }
        };
        Ok((role, content))
    });
    let texts: Vec<(&str, String)> = texts.collect::<Result<_, &str>>()?;
    let messages = texts.iter().map(|(role, content)| Message { role, content });
    let prompt = form.render(&messages.collect::<Vec<_>>());
    let mut sampling = usual.sampling;
    sampling.temperature = body.temperature.unwrap_or(sampling.temperature);
    sampling.top_p = body.top_p.unwrap_or(sampling.top_p);
    sampling.seed = body.seed.unwrap_or(sampling.seed);
    if !(0.0..=10.0).contains(&sampling.temperature) || !(0.0..=1.0).contains(&sampling.top_p) {
        return Err("body: temperature or top_p is out of range".to_owned());
    }
    let stops = match body.stop {
        None => usual.stops,
        Some(Stops::One(stop)) => [stop].into(),
        Some(Stops::Several(stops)) => stops.into(),
    };
    let is_odd = |stop: &String| stop.is_empty() || stop.len() > STOP_BYTES_MAX;
    if stops.len() > STOPS_MAX || stops.iter().any(is_odd) {
        return Err(format!("body: stop has more than {STOPS_MAX} texts, or an odd one"));
    }
    let most = body.max_completion_tokens.or(body.max_tokens).unwrap_or(usual.most);
    if most == 0 {
        return Err("body: max_tokens is 0".to_owned());
    }
    Ok(Request { prompt, sampling, stops, most: most.min(usual.most), ..usual })
}
