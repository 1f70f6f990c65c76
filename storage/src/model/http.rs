//! HTTP to a model store: one origin that may be told a secret, redirects, bounded answers.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use nightshift_core::model::refused_host;
use reqwest::header::{HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::ModelError;
use super::patience::{Asked, Patience, Trouble};
use super::settings::Secret;
use super::source::Opened;
use crate::error::Cause;

/// For a connection, name resolution and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two pieces of an answer; a download as a whole may take as long as it takes.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Redirects that are followed: a Hub sends to a bridge, and that to a content network.
const REDIRECTS_MAX: usize = 5;

/// Largest answer that is not a file: a listing of some thousand files.
const ANSWER_MAX_BYTES: usize = 8 << 20;

/// Characters of a store's own words in a message.
const WORDS_MAX_CHARS: usize = 200;

/// A store that is reached by HTTP.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
    base: Url,
    login: Option<Login>,
    patience: Patience,
}

/// How a store knows who asks.
#[derive(Debug, Clone)]
pub(super) enum Login {
    Bearer(Secret),
    Basic(String, Secret),
}

impl Http {
    /// The store at `base`, which the environment variable `variable` names.
    pub(super) fn new(
        variable: &'static str,
        base: &str,
        login: Option<Login>,
        patience: Patience,
    ) -> Result<Self, ModelError> {
        let wrong = |problem: String| ModelError::Setting { variable, problem };
        let mut base = Url::parse(base)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| wrong("is not a URL such as https://host".to_owned()))?;
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(wrong(
                "holds credentials; remove them, and set the variables that docs/models.md names"
                    .to_owned(),
            ));
        }
        check_host(&base).map_err(|problem| wrong(format!("cannot be used: {problem}")))?;
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let client = Client::builder()
            .user_agent(concat!("nightshift/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX);
        use_ring();
        let client = client.build().map_err(|error| {
            wrong(format!("cannot be reached: no client could be made ({})", words(error)))
        })?;
        Ok(Self { client, base, login, patience })
    }

    /// The URL of `steps` below the store, each made safe, with `query`.
    pub(super) fn url(&self, steps: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // Only URLs without a host have no path, and those were refused.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(steps);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// `link` as the store means it, if it leads to the same store.
    pub(super) fn own_link(&self, from: &Url, link: &str) -> Option<Url> {
        from.join(link).ok().filter(|url| url.origin() == self.base.origin())
    }

    /// A JSON answer of bounded size, and its headers; asked for until it comes or patience ends.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        url: &Url,
        asked: &Asked,
    ) -> Result<(T, HeaderMap), ModelError> {
        let mut tries = self.patience.begin();
        loop {
            match self.json(url).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => tries.after(trouble, asked).await?,
            }
        }
    }

    async fn json<T: DeserializeOwned>(&self, url: &Url) -> Result<(T, HeaderMap), Trouble> {
        let response = self.get(url.clone(), 0).await?;
        let headers = response.headers().clone();
        let bytes = body(response).await?;
        // What is wrong is told by place, since the bytes may hold anything.
        serde_json::from_slice(&bytes).map(|answer| (answer, headers)).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let text =
                format!("its answer is not as expected, at {line}:{column}; check the endpoint");
            Trouble::useless(text)
        })
    }

    /// The bytes of a file from `from` on; a store that knows no ranges sends all of them.
    pub(super) async fn file(&self, url: Url, from: u64) -> Result<Opened, Trouble> {
        let response = self.get(url, from).await?;
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let chunks = response.bytes_stream().map_err(|error| Cause::from(words(error)));
        let chunks: futures::stream::BoxStream<'static, Result<Bytes, Cause>> = chunks.boxed();
        Ok(Opened { from: if partial { from } else { 0 }, chunks })
    }

    /// Asks, follows redirects, and sorts what comes by what to do about it. Only the store's own
    /// origin is told the secret, wherever it sends to.
    async fn get(&self, mut url: Url, from: u64) -> Result<Response, Trouble> {
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self.client.get(url.clone());
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            if url.origin() == self.base.origin() {
                request = match &self.login {
                    Some(Login::Bearer(token)) => request.bearer_auth(token.reveal()),
                    Some(Login::Basic(user, password)) => {
                        request.basic_auth(user, Some(password.reveal()))
                    }
                    None => request,
                };
            }
            let response = request.send().await.map_err(|error| Trouble::again(words(error)))?;
            let status = response.status();
            if status == StatusCode::BAD_REQUEST {
                return Err(unfit(response).await);
            }
            if !status.is_redirection() {
                return sorted(response);
            }
            let next = response.headers().get(LOCATION).and_then(|next| next.to_str().ok());
            let next = next
                .and_then(|next| url.join(next).ok())
                .filter(|next| matches!(next.scheme(), "http" | "https"))
                .ok_or_else(|| Trouble::useless("it redirects to nowhere"))?;
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(Trouble::useless("it redirects from https to http, which is refused"));
            }
            check_host(&next).map_err(Trouble::useless)?;
            url = next;
        }
        Err(Trouble::useless(format!("it redirects more than {REDIRECTS_MAX} times")))
    }
}

/// An answer that is no file.
async fn body(response: Response) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| Trouble::again(words(error)))?);
        if bytes.len() > ANSWER_MAX_BYTES {
            let text = format!("its answer has more than {ANSWER_MAX_BYTES} bytes");
            return Err(Trouble::useless(text));
        }
    }
    Ok(bytes)
}

/// Why the store finds a question unfit, in its own words: MLflow says so of an alias that does not
/// exist.
async fn unfit(response: Response) -> Trouble {
    #[derive(serde::Deserialize)]
    struct Reason {
        #[serde(alias = "error")]
        message: String,
    }
    let bytes = body(response).await.unwrap_or_default();
    match serde_json::from_slice(&bytes) {
        Ok(Reason { message }) => {
            let said: String =
                message.chars().filter(|c| !c.is_control()).take(WORDS_MAX_CHARS).collect();
            Trouble::useless(format!("it answered with status 400: {said}"))
        }
        Err(_) => Trouble::useless("it answered with status 400"),
    }
}

/// A response as something to use or a reason.
fn sorted(response: Response) -> Result<Response, Trouble> {
    let status = response.status();
    match status {
        _ if status.is_success() => Ok(response),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Trouble::Denied { status: status.as_u16() })
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Trouble::Missing),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(again(&response)),
        _ if status.is_server_error() => Err(again(&response)),
        _ => Err(Trouble::useless(format!("it answered with status {}", status.as_u16()))),
    }
}

fn again(response: &Response) -> Trouble {
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = asked.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    Trouble::Again { cause: format!("status {}", response.status().as_u16()).into(), after }
}

/// Refuses hosts that hand out the credentials of a machine.
pub(super) fn check_host(url: &Url) -> Result<(), String> {
    match url.host_str() {
        Some(host) if refused_host(host) => Err(format!(
            "{host} hands out credentials of this machine and is never asked for a model"
        )),
        _ => Ok(()),
    }
}

/// What a client says, without the URL: it may hold a signature.
pub(super) fn words(error: reqwest::Error) -> String {
    crate::error::chain(&error.without_url())
}

/// TLS is done with ring in every program of the workspace. Whoever was first has chosen it.
pub(crate) fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
