//! A last net under what a process says: secrets that it was given never reach a line of its log
//! or its last words, whoever wrote the line.
//!
//! Types that hold a secret do not show it, and errors do not repeat what may be one. This is for
//! the crates of others, which log what they like when `--log trace` asks them to.

use std::borrow::Cow;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "[hidden]";

/// Shortest text that is taken for a secret by itself: a shorter one is a word of many lines.
const SECRET_MIN_BYTES: usize = 6;
/// Most secrets that are known; a process has a handful.
const SECRETS_MAX: usize = 64;
/// Longest login in a URL that is looked for.
const LOGIN_MAX_BYTES: usize = 1 << 10;

/// Parts of the names of variables that hold secrets.
const NAMES: [&str; 7] =
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "ACCESS_KEY", "API_KEY"];
/// Ends of names of variables that say where a secret is, which is none.
const PLACES: [&str; 5] = ["_FILE", "_PATH", "_DIR", "_URI", "_ENDPOINT"];

/// The secrets of a process: values of variables whose names say so, and the logins of URLs in
/// variables and arguments.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Those of this process.
    pub fn of_process() -> Self {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        Self::from(variables, std::env::args_os().filter_map(text))
    }

    /// Those of an environment and of arguments.
    pub fn from(
        variables: impl IntoIterator<Item = (String, String)>,
        arguments: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut secrets = Self::default();
        for (name, value) in variables {
            let name = name.to_ascii_uppercase();
            let is_secret = NAMES.iter().any(|part| name.contains(part))
                && !PLACES.iter().any(|end| name.ends_with(end));
            if is_secret {
                secrets.add(value.trim());
            }
            if name.ends_with("_HEADERS") {
                secrets.add_headers(&value);
            }
            secrets.add_login(&value);
        }
        for argument in arguments {
            secrets.add_login(&argument);
        }
        // A secret that holds another is hidden first.
        secrets.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }

    fn add(&mut self, secret: &str) {
        let known = self.0.iter().any(|known| known == secret);
        if secret.len() >= SECRET_MIN_BYTES && !known && self.0.len() < SECRETS_MAX {
            self.0.push(secret.to_owned());
        }
    }

    /// The values of headers in a variable, as in `authorization=Bearer%20abc,tenant=me`.
    fn add_headers(&mut self, text: &str) {
        for header in text.split(',') {
            let Some((_, value)) = header.split_once('=') else { continue };
            let meant = percent_decoded(value.trim());
            self.add(value.trim());
            // Without `Bearer`, which stands in front of it.
            self.add(meant.split_whitespace().last().unwrap_or_default());
            self.add(&meant);
        }
    }

    /// The password of a URL, as it is written there and as it is meant.
    fn add_login(&mut self, text: &str) {
        let Some((_, login, _)) = split_login(text) else { return };
        let password = login.split_once(':').map_or(login, |(_, password)| password);
        self.add(password);
        self.add(&percent_decoded(password));
    }

    /// The text without secrets: those of this process, and the login of any URL.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), HIDDEN));
            }
        }
        if text.contains("://") && text.contains('@') {
            let shown = without_logins(&text);
            if shown != *text {
                text = Cow::Owned(shown);
            }
        }
        text
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// What stands before the login of the first URL in a text that has one, the login, and the rest
/// from `@` on.
fn split_login(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find("://") {
        let begin = from + found + 3;
        let rest = text.get(begin..)?;
        let end = rest
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>')
            })
            .unwrap_or(rest.len());
        let authority = rest.get(..end)?;
        let at = authority.rfind('@').filter(|at| (1..=LOGIN_MAX_BYTES).contains(at));
        if let Some(at) = at.filter(|at| !is_hidden(authority.get(..*at).unwrap_or_default())) {
            return Some((text.get(..begin)?, authority.get(..at)?, rest.get(at..)?));
        }
        from = begin;
    }
    None
}

/// Whether whoever wrote the login has left the password out already, as in `me:***`.
fn is_hidden(login: &str) -> bool {
    let password = login.split_once(':').map_or(login, |(_, password)| password);
    login == HIDDEN || (!password.is_empty() && password.chars().all(|c| c == '*'))
}

fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _, after)) = split_login(rest) {
        shown.push_str(before);
        shown.push_str(HIDDEN);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// The text with `%40` as `@`; what is no such sequence stays.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(code, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                decoded.push(code);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let variables = [
            ("HF_TOKEN", "hf_canary1"),
            ("AWS_SECRET_ACCESS_KEY", "aws/canary+2"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
            ("REDIS_URL", "redis://me:p%40canary3@redis:6379/0"),
            ("MY_PASSWORD", "short"),
            ("NIGHTSHIFT_TLS_KEY", "tls/worker.key"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary5,x-tenant=me"),
        ];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let arguments = ["--redis=rediss://:canary4@redis".to_owned(), "--log".to_owned()];
        Secrets::from(owned, arguments)
    }

    #[test]
    fn what_was_given_in_confidence_is_hidden_wherever_it_comes_up() {
        let secrets = secrets();
        for text in ["hf_canary1", "aws/canary+2", "p%40canary3", "p@canary3", "canary4", "canary5"]
        {
            let line = format!("header: Bearer {text}, and {text} again");
            let shown = secrets.hide(&line);
            assert!(!shown.contains(text) && shown.matches(HIDDEN).count() == 2, "{shown}");
        }
        assert_eq!(format!("{secrets:?}"), "Secrets(8)");
    }

    #[test]
    fn logins_of_any_url_are_hidden() {
        let secrets = Secrets::default();
        assert_eq!(
            secrets.hide("GET https://a:b@h/x?y to http://h/z, ws://u@[::1]:8"),
            "GET https://[hidden]@h/x?y to http://h/z, ws://[hidden]@[::1]:8"
        );
        for text in ["redis://me@a@host/0", "x://:@h", "a://b c@d", "://@", "://", "@"] {
            let shown = secrets.hide(text).into_owned();
            assert_eq!(secrets.hide(&shown), shown, "{text}");
        }
        assert_eq!(secrets.hide("redis://me:***@host/0"), "redis://me:***@host/0");
        assert_eq!(secrets.hide("redis://me@a@host/0"), "redis://[hidden]@host/0");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in ["short /var/run/token tls/worker.key", "data/date=2013-01-31/part.parquet", ""]
        {
            assert!(matches!(secrets().hide(text), Cow::Borrowed(same) if same == text));
        }
    }
}
