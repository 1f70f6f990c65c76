//! Posting JSON to a service that may be slow, away or hostile.
//!
//! A few tries with a pause between, each with a limit of time; no redirect is followed, no
//! proxy is used, and no address is connected to from which machines get their credentials,
//! whatever name it goes by. Answers are not read beyond their status.

use std::net::SocketAddr;
use std::time::Duration;

use nightshift_core::endpoint::{Endpoint, is_metadata};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode, redirect};
use rustls::crypto::CryptoProvider;

use crate::error::NotTold;

/// How long a service is waited for, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Messages that are sent at most.
    pub(crate) tries: u32,
    /// Longest time for one of them, with its answer.
    pub(crate) each: Duration,
    /// Pause after the first; it doubles each time.
    pub(crate) pause: Duration,
}

impl Patience {
    /// Enough for a service that is being restarted; with all of its tries well below the time
    /// after which others think that this process has died (`TRY_MAX_S`).
    pub(crate) const DEFAULT: Self =
        Self { tries: 4, each: Duration::from_secs(10), pause: Duration::from_millis(500) };
}

/// Sends messages.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    patience: Patience,
}

impl Http {
    /// A sender that begins with no connection.
    pub(crate) fn new(patience: Patience) -> Result<Self, NotTold> {
        // reqwest panics without one.
        if CryptoProvider::get_default().is_none() {
            let reason = "no TLS provider was installed at its start".to_owned();
            return Err(NotTold::Client { reason });
        }
        let client = Client::builder()
            .user_agent(concat!("nightshift/", env!("CARGO_PKG_VERSION")))
            .timeout(patience.each)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Careful)
            .build()
            .map_err(|error| NotTold::Client { reason: error.to_string() })?;
        Ok(Self { client, patience })
    }

    /// Posts `body` to `to`; each try has the headers that `headers` gives for it.
    pub(crate) async fn post(
        &self,
        to: &Endpoint,
        body: &[u8],
        headers: impl Fn() -> HeaderMap,
    ) -> Result<(), NotTold> {
        let host = to.origin();
        let mut pause = self.patience.pause;
        let mut last = String::new();
        for number in 1..=self.patience.tries {
            if number > 1 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            let request = self
                .client
                .post(to.as_str())
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .headers(headers())
                .body(body.to_vec());
            match request.send().await {
                Ok(answer) => match verdict(answer.status()) {
                    Answer::Taken => return Ok(()),
                    Answer::Later => last = format!("it answered {}", answer.status().as_u16()),
                    Answer::Never => {
                        return Err(NotTold::Refused { host, status: answer.status().as_u16() });
                    }
                    Answer::Elsewhere => {
                        return Err(NotTold::Redirected { host, status: answer.status().as_u16() });
                    }
                },
                // Without the address, whose path may be a secret.
                Err(error) => last = nightshift_core::describe::describe(&error.without_url()),
            }
            tracing::debug!(%host, number, last, "a message was not taken");
        }
        Err(NotTold::Away { host, tries: self.patience.tries, last })
    }
}

/// What a status means for the message.
enum Answer {
    Taken,
    Later,
    Never,
    Elsewhere,
}

fn verdict(status: StatusCode) -> Answer {
    match status {
        status if status.is_success() => Answer::Taken,
        status if status.is_redirection() => Answer::Elsewhere,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Answer::Later
        }
        status if status.is_server_error() => Answer::Later,
        _ => Answer::Never,
    }
}

/// Looks names up, and knows none that stands for an address from which machines get their
/// credentials: what a spec may not write, a name may not mean.
struct Careful;

impl Resolve for Careful {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            harmless(found).map(|found| Box::new(found.into_iter()) as Addrs).map_err(Into::into)
        })
    }
}

/// The addresses, unless one of them is none to send to.
fn harmless(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, &'static str> {
    if found.iter().any(|address| is_metadata(address.ip())) {
        return Err("its name stands for an address from which machines get their credentials");
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
