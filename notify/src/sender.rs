//! What is told on each channel, and how it gets there.

use std::sync::OnceLock;

use jiff::Timestamp;
use nightshift_core::layout::Object;
use nightshift_core::plan::{Lineage, LineageTarget, Planned, Reporting, Webhook};
use nightshift_core::report::Report;
use nightshift_core::report::lineage::Events;
use nightshift_core::report::page::{Places, page};
use nightshift_core::report::telling::Channel;
use nightshift_core::report::webhook::{Message, Secret, message_id};
use nightshift_core::root::{Root, RootId};
use nightshift_storage::location::{Location, locate};
use nightshift_storage::replacing::replace_objects;
use nightshift_storage::root::{Probed, Reader};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::NotTold;
use crate::files;
use crate::http::{Http, Patience};
use crate::records::full_report;

/// Name of the report for machines, below the folder of the run.
const REPORT_JSON: &str = "report.json";
/// Name of the report for people.
const REPORT_HTML: &str = "report.html";

/// What others are to be told of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Occasion<'a> {
    /// It has begun.
    Begun,
    /// It has its verdict.
    Concluded(&'a Report),
}

impl Occasion<'_> {
    /// Whether there is anything to tell on a channel.
    pub(crate) fn is_of(self, channel: Channel) -> bool {
        match self {
            Self::Begun => channel == Channel::LineageStart,
            // A start that nobody could be told of is told before the end.
            Self::Concluded(_) => true,
        }
    }
}

/// Sends what is to be told.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    /// Made when something is posted for the first time: most runs post nothing.
    http: OnceLock<Http>,
}

impl Sender {
    /// Tells on one channel, as far as the plan asks for it.
    pub(crate) async fn send<P: Planned + Sync>(
        &self,
        root: &Probed,
        plan: &P,
        reporting: &Reporting,
        occasion: Occasion<'_>,
        channel: Channel,
    ) -> Result<(), NotTold> {
        match (channel, occasion) {
            (Channel::Report, Occasion::Concluded(report)) => {
                write_report(root, plan, reporting, report).await
            }
            (Channel::Webhook, Occasion::Concluded(report)) => match &reporting.webhook {
                Some(webhook) => self.post_message(root, reporting, webhook, report).await,
                None => Ok(()),
            },
            (Channel::LineageStart | Channel::LineageEnd, occasion) => {
                let Some(lineage) = &reporting.lineage else { return Ok(()) };
                let id = root_id(root).await?;
                let events = Events { root: &id, reporting, lineage };
                let event = match occasion {
                    Occasion::Concluded(report) if channel == Channel::LineageEnd => {
                        events.end(report)
                    }
                    _ => events.start(plan),
                };
                self.send_event(lineage, serde_json::to_vec(&event)?).await
            }
            (Channel::Report | Channel::Webhook, Occasion::Begun) => Ok(()),
        }
    }

    async fn post_message(
        &self,
        root: &Probed,
        reporting: &Reporting,
        webhook: &Webhook,
        report: &Report,
    ) -> Result<(), NotTold> {
        let run = &report.verdict.run;
        let secret = secret(webhook)?;
        let page = reporting.folder.as_ref().map(|folder| format!("{folder}/{run}/{REPORT_HTML}"));
        let body = serde_json::to_vec(&Message::new(report, reporting, page))?;
        let id = message_id(&root_id(root).await?, run);
        let headers = || {
            // Signed anew for each try, because the signature holds the time.
            let now = Timestamp::now();
            let mut headers = HeaderMap::new();
            let mut set = |name: &'static str, value: &str| {
                // Identities, numbers and Base64 are always values of headers.
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            };
            set("webhook-id", &id);
            set("webhook-timestamp", &now.as_second().to_string());
            if let Some(secret) = &secret {
                set("webhook-signature", &secret.sign(&id, now, &body));
            }
            headers
        };
        self.http()?.post(&webhook.url, &body, headers).await
    }

    async fn send_event(&self, lineage: &Lineage, event: Vec<u8>) -> Result<(), NotTold> {
        match &lineage.target {
            LineageTarget::Url(url) => self.http()?.post(url, &event, HeaderMap::new).await,
            LineageTarget::File(place) => {
                let place = place.clone();
                blocking(move || files::append(&place, &event)).await
            }
        }
    }

    fn http(&self) -> Result<&Http, NotTold> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = Http::new(Patience::DEFAULT)?;
        Ok(self.http.get_or_init(|| http))
    }
}

/// Writes `report.json` and `report.html`.
async fn write_report<P: Planned + Sync>(
    root: &Probed,
    plan: &P,
    reporting: &Reporting,
    report: &Report,
) -> Result<(), NotTold> {
    let Some(folder) = reporting.folder.clone() else { return Ok(()) };
    let full = full_report(root, plan, report.clone()).await?;
    let places = Places { input: &reporting.input, output: &reporting.output };
    let html = page(&full, Some(places));
    let mut json = serde_json::to_vec_pretty(&full)?;
    json.push(b'\n');
    let run = plan.run().to_string();
    match locate(&folder).map_err(NotTold::Place)? {
        Location::Volume(folder) => {
            let folder = folder.join(run);
            blocking(move || {
                files::replace(&folder, REPORT_JSON, &json)?;
                files::replace(&folder, REPORT_HTML, html.as_bytes())
            })
            .await
        }
        Location::Bucket(place) => {
            let objects = [(REPORT_JSON, json), (REPORT_HTML, html.into_bytes())];
            let objects = objects.map(|(name, bytes)| (format!("{run}/{name}"), bytes.into()));
            Ok(replace_objects(&place, objects).await?)
        }
    }
}

/// The secret that signs messages, if there is to be one.
fn secret(webhook: &Webhook) -> Result<Option<Secret>, NotTold> {
    let Some(name) = &webhook.secret_env else { return Ok(None) };
    let text =
        std::env::var(name.to_string()).map_err(|_| NotTold::NoSecret { name: name.clone() })?;
    let secret =
        Secret::parse(&text).map_err(|source| NotTold::Secret { name: name.clone(), source })?;
    Ok(Some(secret))
}

/// The identity of the output root.
async fn root_id(root: &Reader) -> Result<RootId, NotTold> {
    let found: Option<Root> = root.read(&Object::Root).await?;
    Ok(found.ok_or(NotTold::NoIdentity)?.root_id)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotTold> + Send + 'static,
) -> Result<T, NotTold> {
    tokio::task::spawn_blocking(work).await.map_err(|_| NotTold::Interrupted)?
}
