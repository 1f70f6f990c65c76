//! Telling others, beside the work: what is wanted, whether it is time, and doing it.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use nightshift_core::describe::describe;
use nightshift_core::layout::Object;
use nightshift_core::plan::{Lineage, LineageTarget, Planned, Reporting, Webhook};
use nightshift_core::report::Report;
use nightshift_core::report::lineage::Events;
use nightshift_core::report::page::{Places, page};
pub use nightshift_core::report::telling::Urgency;
use nightshift_core::report::telling::{Channel, Telling, decide};
use nightshift_core::report::webhook::{Message, Secret, message_id};
use nightshift_core::root::{Root, RootId};
use nightshift_storage::error::StoreError;
use nightshift_storage::root::{Probed, Reader};
use nightshift_storage::sync::Durability;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::error::NotTold;
use crate::http::{Http, Patience};
use crate::records::full_report;
use crate::{files, marks};

/// Runs that are told of at the same time; more wait for their turn. A service that is away
/// holds each for its whole patience, and each may hold a report in memory.
const RUNS_MAX: usize = 8;
/// Name of the report for machines, below the folder of the run.
const REPORT_JSON: &str = "report.json";
/// Name of the report for people.
const REPORT_HTML: &str = "report.html";

/// Tells others of runs, in tasks of its own.
#[derive(Debug)]
pub struct Teller {
    /// This process, for people.
    who: String,
    patience: Patience,
    /// Made when something is sent for the first time: most runs send nothing.
    http: OnceLock<Http>,
    /// A permit for every run that is being told of.
    runs: Semaphore,
    /// The tasks that tell.
    tasks: TaskTracker,
}

/// What others are to be told of a run.
#[derive(Debug, Clone, Copy)]
enum Occasion<'a> {
    /// It has begun.
    Begun,
    /// It has its verdict.
    Concluded(&'a Report),
}

impl Occasion<'_> {
    fn is_of(self, channel: Channel) -> bool {
        match self {
            Self::Begun => channel == Channel::LineageStart,
            // A start that nobody could be told of is told before the end.
            Self::Concluded(_) => true,
        }
    }
}

impl Teller {
    /// A teller that signs its marks as `who`.
    pub fn new(who: String) -> Arc<Self> {
        Self::with_patience(who, Patience::DEFAULT)
    }

    pub(crate) fn with_patience(who: String, patience: Patience) -> Arc<Self> {
        let (runs, tasks) = (Semaphore::new(RUNS_MAX), TaskTracker::new());
        Arc::new(Self { who, patience, http: OnceLock::new(), runs, tasks })
    }

    /// Tells of a run that has begun, in a task of its own. Needs a runtime.
    pub fn begun<P>(self: &Arc<Self>, root: &Probed, plan: &Arc<P>)
    where
        P: Planned + Send + Sync + 'static,
    {
        self.spawn(root, plan, None);
    }

    /// Tells of a run that has its verdict, in a task of its own. Needs a runtime.
    pub fn concluded<P>(self: &Arc<Self>, root: &Probed, plan: &Arc<P>, report: Report)
    where
        P: Planned + Send + Sync + 'static,
    {
        self.spawn(root, plan, Some(report));
    }

    fn spawn<P>(self: &Arc<Self>, root: &Probed, plan: &Arc<P>, report: Option<Report>)
    where
        P: Planned + Send + Sync + 'static,
    {
        if plan.reporting().is_none() {
            return;
        }
        let (this, root, plan) = (Arc::clone(self), root.clone(), Arc::clone(plan));
        let telling = self.tasks.track_future(async move {
            let occasion = report.as_ref().map_or(Occasion::Begun, Occasion::Concluded);
            this.tell(&root, &plan, occasion, Urgency::Passing).await;
        });
        // Detached: the tracker waits for it.
        drop(nightshift_telemetry::spawn("tell", telling));
    }

    /// Tells what is still to be told of a run that has its verdict. A look alone, and nothing
    /// is opened for writing, where there is nothing to tell. Returns when it is done.
    pub async fn catch_up<P: Planned + Sync>(
        &self,
        root: &Reader,
        plan: &P,
        report: &Report,
        urgency: Urgency,
    ) {
        match self.is_behind(root, plan, urgency).await {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => return warn(plan, None, &error.into()),
        }
        let directory = root.directory().display().to_string();
        let opened = nightshift_storage::root::OutputRoot::open(&directory, Durability::Full);
        let probed = async { opened.await?.probe().await };
        match probed.await {
            Ok(root) => self.tell(&root, plan, Occasion::Concluded(report), urgency).await,
            Err(error) => warn(plan, None, &error.into()),
        }
    }

    /// Waits until everything that was begun has been told, or given up for now: at the end of a
    /// process, after which nothing more is to be told.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether anything is to be told now.
    async fn is_behind<P: Planned + Sync>(
        &self,
        root: &Reader,
        plan: &P,
        urgency: Urgency,
    ) -> Result<bool, StoreError> {
        let Some(reporting) = plan.reporting() else { return Ok(false) };
        for channel in Channel::ALL.into_iter().filter(|channel| channel.is_wanted(reporting)) {
            let facts = marks::facts(root, plan.run(), channel).await?;
            if matches!(decide(facts, Timestamp::now(), urgency), Telling::Try(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells on every channel that is wanted and due: the report first, since messages link to
    /// it, and the rest at the same time, since each may wait for a service.
    async fn tell<P: Planned + Sync>(
        &self,
        root: &Probed,
        plan: &P,
        occasion: Occasion<'_>,
        urgency: Urgency,
    ) {
        let Some(reporting) = plan.reporting() else { return };
        // The semaphore is never closed.
        let Ok(_permit) = self.runs.acquire().await else { return };
        let one = |channel| async move {
            if !occasion.is_of(channel) || !channel.is_wanted(reporting) {
                return;
            }
            let told = self.tell_one(root, plan, reporting, occasion, urgency, channel).await;
            if let Err(error) = told {
                warn(plan, Some(channel), &error);
            }
        };
        one(Channel::Report).await;
        let lineage = async {
            one(Channel::LineageStart).await;
            one(Channel::LineageEnd).await;
        };
        futures::future::join(one(Channel::Webhook), lineage).await;
    }

    /// Tells on one channel, if it is time to.
    async fn tell_one<P: Planned + Sync>(
        &self,
        root: &Probed,
        plan: &P,
        reporting: &Reporting,
        occasion: Occasion<'_>,
        urgency: Urgency,
        channel: Channel,
    ) -> Result<(), NotTold> {
        let run = plan.run();
        let facts = marks::facts(root, run, channel).await?;
        let number = match decide(facts, Timestamp::now(), urgency) {
            Telling::Try(number) => number,
            skipped => {
                tracing::debug!(%run, %channel, ?skipped, "not told");
                return Ok(());
            }
        };
        if !marks::begin(root, run, channel, number, &self.who).await? {
            return Ok(());
        }
        match (channel, occasion) {
            (Channel::Report, Occasion::Concluded(report)) => {
                write_report(root, plan, reporting, report).await?;
            }
            (Channel::Webhook, Occasion::Concluded(report)) => {
                if let Some(webhook) = &reporting.webhook {
                    self.post_message(root, reporting, webhook, report).await?;
                }
            }
            (Channel::LineageStart | Channel::LineageEnd, occasion) => {
                if let Some(lineage) = &reporting.lineage {
                    let id = root_id(root).await?;
                    let events = Events { root: &id, reporting, lineage };
                    let event = match occasion {
                        Occasion::Concluded(report) if channel == Channel::LineageEnd => {
                            events.end(report)
                        }
                        _ => events.start(plan),
                    };
                    self.send_event(lineage, serde_json::to_vec(&event)?).await?;
                }
            }
            (Channel::Report | Channel::Webhook, Occasion::Begun) => return Ok(()),
        }
        marks::end(root, run, channel, &self.who).await?;
        tracing::info!(%run, %channel, number, "told");
        Ok(())
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
        let http = Http::new(self.patience)?;
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
    blocking(move || {
        files::replace(&folder, &run, REPORT_JSON, &json)?;
        files::replace(&folder, &run, REPORT_HTML, html.as_bytes())
    })
    .await
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

/// Says what could not be told. The run is as it is.
fn warn(plan: &impl Planned, channel: Option<Channel>, error: &NotTold) {
    let (run, error) = (plan.run(), describe(error));
    let channel = channel.map_or("any", Channel::as_str);
    tracing::warn!(%run, channel, error, "others could not be told of the run; whoever looks at it next tries again");
}
