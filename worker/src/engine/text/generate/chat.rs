//! Forms of chats. A template is a program; those that models share are recognised by their text,
//! and others are refused.

use crate::engine::text::TextError;
use crate::engine::text::settings::unsupported;

/// What a template of the first form does with a message, in two spellings.
const CHATML: [&str; 3] = [
    "'<|im_start|>'+message['role']+'\\n'+message['content']",
    "'<|im_start|>'+message.role+'\\n'",
    "\"<|im_start|>\"+message[\"role\"]+\"\\n\"+message[\"content\"]",
];
/// What a template of the second form does.
const LLAMA: [&str; 2] = [
    "'<|start_header_id|>'+message['role']+'<|end_header_id|>\\n\\n'+message['content']|trim+'<|eot_id|>'",
    "'<|start_header_id|>'+message['role']+'<|end_header_id|>\\n\\n'",
];
/// What Llama from 3.1 on is told before all else. Its template takes the date of today where it
/// can find it, and this one where it cannot: what is written must not change from day to day.
const DATES: &str = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// `system`, `user` or `assistant`.
    pub(super) role: &'a str,
    pub(super) content: &'a str,
}

/// A form of chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// `<|im_start|>role`, as SmolLM2 and Qwen have it.
    ChatMl {
        /// What the model is told where no message says it.
        system: Option<String>,
    },
    /// `<|start_header_id|>role<|end_header_id|>`, as Llama 3 has it.
    Llama {
        /// Whether the model is told dates first.
        dated: bool,
    },
}

impl Form {
    /// The form that `template` is a program for.
    pub(super) fn of(template: &str) -> Result<Self, TextError> {
        let template = template.replace("\\n", "\n");
        let plain: String = template.replace('\n', "\\n").split_whitespace().collect();
        let has = |parts: &[&str]| parts.iter().any(|part| plain.contains(part));
        if has(&CHATML) && !template.contains("strftime") {
            return Ok(Self::ChatMl { system: usual_system(&template) });
        }
        if has(&LLAMA) {
            return Ok(Self::Llama { dated: template.contains("Cutting Knowledge Date") });
        }
        let start: String = template.chars().take(40).collect();
        unsupported("chat_template", &start, "those of SmolLM2, Qwen and Llama 3")
    }

    /// Tokens that end what the model says.
    pub(super) fn end(&self) -> &'static str {
        match self {
            Self::ChatMl { .. } => "<|im_end|>",
            Self::Llama { .. } => "<|eot_id|>",
        }
    }

    /// The messages as the model was taught to read them, up to where it speaks.
    pub(super) fn render(&self, messages: &[Message<'_>]) -> String {
        let mut text = String::new();
        let first = messages.first();
        let told = first.filter(|first| first.role == "system");
        match self {
            Self::ChatMl { system } => {
                let mut add = |role: &str, content: &str| {
                    text.push_str(&format!("<|im_start|>{role}\n{content}<|im_end|>\n"));
                };
                if let (None, Some(system)) = (told, system) {
                    add("system", system);
                }
                messages.iter().for_each(|message| add(message.role, message.content));
                text.push_str("<|im_start|>assistant\n");
            }
            Self::Llama { dated } => {
                text.push_str("<|begin_of_text|>");
                let mut add = |role: &str, before: &str, content: &str| {
                    let content = content.trim();
                    text.push_str(&format!(
                        "<|start_header_id|>{role}<|end_header_id|>\n\n{before}{content}<|eot_id|>"
                    ));
                };
                let dates = if *dated { DATES } else { "" };
                if told.is_some() || *dated {
                    add("system", dates, told.map_or("", |told| told.content));
                }
                let others = messages.iter().skip(usize::from(told.is_some()));
                others.for_each(|message| add(message.role, "", message.content));
                text.push_str("<|start_header_id|>assistant<|end_header_id|>\n\n");
            }
        }
        text
    }
}

/// What a template says where no message is of the system: the first words of it that are written
/// out, rather than put in.
fn usual_system(template: &str) -> Option<String> {
    let starts = template.split("<|im_start|>system\n").skip(1);
    let said = starts.filter_map(|rest| rest.split_once("<|im_end|>"));
    let plain = |said: &&str| !said.is_empty() && !said.contains(['\'', '"', '{', '}', '+']);
    said.map(|(said, _)| said).find(plain).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOLLM: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    const QWEN: &str = "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- if messages[0]['role'] == 'system' %}\n        {{- messages[0]['content'] }}\n    {%- else %}\n        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}\n    {%- endif %}\n{%- else %}\n    {%- if messages[0]['role'] == 'system' %}\n        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n    {%- else %}\n        {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}\n    {%- endif %}\n{%- endif %}\n{%- for message in messages %}\n    {%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) %}\n        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n";
    const LLAMA3: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}";

    fn user(content: &str) -> Message<'_> {
        Message { role: "user", content }
    }

    #[test]
    fn shared_templates_are_recognised_and_rendered() {
        // As jinja2 renders them, for one message of a user.
        for (template, wanted) in [
            (
                SMOLLM,
                "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n",
            ),
            (
                QWEN,
                "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n",
            ),
            (
                LLAMA3,
                "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            ),
        ] {
            let form = Form::of(template).unwrap();
            assert_eq!(form.render(&[user(" Hi ")]), wanted);
            let system = Message { role: "system", content: "Short." };
            let told = form.render(&[system, user("Hi")]);
            assert!(told.contains("Short.") && !told.contains("You are"), "{told}");
        }
    }

    #[test]
    fn other_templates_are_refused_by_name() {
        for template in ["[INST] {{ messages }} [/INST]", ""] {
            let error = Form::of(template).unwrap_err().to_string();
            assert!(error.contains("SmolLM2, Qwen and Llama 3"), "{error}");
        }
    }
}
