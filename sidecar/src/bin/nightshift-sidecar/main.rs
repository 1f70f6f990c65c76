//! The `nightshift-sidecar` command: see `--help`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_sidecar::bounded::Bounded;
use nightshift_sidecar::cgroup::{Cgroup, Scope};
use nightshift_sidecar::forward::Forward;
use nightshift_sidecar::handing::{Certificates, Handing, InvalidCoordinator, samples};
use nightshift_sidecar::receive::{self, Receiver};
use nightshift_sidecar::scrape::{self, Scraped};
use nightshift_sidecar::settings::{
    HTTP_CONNECTION_LIFE, HTTP_CONNECTIONS_MAX, OTLP_CONNECTIONS_MAX, Settings,
};
use nightshift_telemetry::Failure;
use nightshift_telemetry::ending::{end, usage};
use nightshift_telemetry::signals::{Signals, end_on_the_spot};
use tokio::net::TcpListener;
use tokio::sync::watch;

mod args;

use args::Arguments;

/// Small, and the same with every C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long calls under way may take to end; then the process ends without them.
const GRACE: Duration = Duration::from_millis(500);

/// Where a container sees its own control group.
const OWN_CGROUP: &str = "/sys/fs/cgroup";

/// The program, as it names itself at its end.
const PROGRAM: &str = "nightshift-sidecar";

fn main() -> ExitCode {
    if let Err(failure) = end_on_the_spot(Exit::Done) {
        return end(PROGRAM, Err(failure));
    }
    match Arguments::try_parse() {
        Ok(arguments) => end(PROGRAM, perform(&arguments).map(|()| Exit::Done)),
        Err(error) => usage(PROGRAM, &error),
    }
}

fn perform(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { otlp, otlp_remote, max_series, linger, .. } = *arguments;
    let settings = Settings::new(otlp, otlp_remote, max_series, linger)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    nightshift_telemetry::init(arguments.log_format, &arguments.log)?;
    // One thread: the worker needs the others.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::new(Exit::Io, format_args!("no runtime to work with: {error}"))
        })?;
    let ended = runtime.block_on(serve(arguments, settings));
    runtime.shutdown_background();
    ended
}

async fn serve(arguments: &Arguments, settings: Settings) -> Result<(), Failure> {
    // Before anything else: as process 1 of a container only handled signals arrive at all.
    let mut signals = Signals::listen()?;
    let traces = arguments.traces.as_deref().filter(|url| !url.trim().is_empty());
    let forward =
        traces.map(Forward::new).transpose().map_err(|error| Failure::new(Exit::Config, error))?;
    let handing = handing(arguments);
    let otlp = listen("--otlp", settings.otlp()).await?;
    let http = listen("--listen", arguments.listen).await?;
    if let (Ok(otlp), Ok(http)) = (otlp.local_addr(), http.local_addr()) {
        say(&format!("nightshift-sidecar: receiving OTLP on {otlp} and serving HTTP on {http}"));
    }
    let receiver = Receiver::new(settings.max_series(), forward);
    let (scope, folder) = match &arguments.pod_cgroup {
        Some(folder) => (Scope::Pod, folder.as_path()),
        None => (Scope::Container, Path::new(OWN_CGROUP)),
    };
    let cgroup = Cgroup::new(folder);
    let scraped = Scraped { receiver: receiver.clone(), cgroup: cgroup.clone(), scope };
    let known = receiver.clone();
    let (end, ended) = watch::channel(false);
    let otlp = Bounded::new(otlp, OTLP_CONNECTIONS_MAX, None);
    let otlp = receive::serve(receiver, otlp, told(ended.clone()));
    let http = Bounded::new(http, HTTP_CONNECTIONS_MAX, Some(HTTP_CONNECTION_LIFE));
    let http = scrape::serve(scraped, http, told(ended));
    let mut otlp = nightshift_telemetry::spawn("otlp", otlp);
    let mut http = nightshift_telemetry::spawn("http", http);
    let failed = |what: &str, error: String| {
        Failure::new(Exit::Io, format_args!("the {what} server failed: {error}"))
    };
    tokio::select! {
        () = signals.received() => {}
        ended = &mut otlp => return Err(match ended {
            Ok(Err(error)) => failed("OTLP", describe(&error)),
            _ => failed("OTLP", "it ended".to_owned()),
        }),
        ended = &mut http => return Err(match ended {
            Ok(Err(error)) => failed("HTTP", error.to_string()),
            _ => failed("HTTP", "it ended".to_owned()),
        }),
    }
    tracing::info!(linger = ?settings.linger(), "told to end");
    tokio::select! {
        () = tokio::time::sleep(settings.linger()) => {}
        () = signals.received() => {}
    }
    end.send_replace(true);
    let hand_in = async {
        let Some(handing) = &handing else { return };
        let pod = (scope == Scope::Pod).then(|| cgroup.read());
        handing.hand_in(known.with(|known| samples(&known.store, pod.as_ref()))).await;
    };
    // A scraper that reads no more must not keep the pod.
    let servers = tokio::time::timeout(GRACE, async { tokio::join!(otlp, http) });
    let _ = tokio::join!(servers, hand_in);
    Ok(())
}

/// Who gets the last numbers, if anybody does. What stands in the way is said and no more: a pod
/// must not fail to start for the sake of its last numbers.
fn handing(arguments: &Arguments) -> Option<Handing> {
    let url = arguments.coordinator.as_deref().filter(|url| !url.trim().is_empty())?;
    let run = arguments.run.clone()?;
    let own = arguments.tls_cert.clone().zip(arguments.tls_key.clone());
    let certificates = Certificates { ca: arguments.tls_ca.clone(), own };
    let handing = Handing::new(url, &certificates, run, arguments.pod.clone());
    let told = |error: &InvalidCoordinator| {
        let reason = describe(error);
        tracing::warn!(reason, "the last numbers will not be handed to the coordinator");
    };
    handing.inspect_err(told).ok()
}

/// Resolves when the process is to end.
async fn told(mut ended: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = ended.wait_for(|ended| *ended).await;
}

async fn listen(flag: &str, address: std::net::SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::Unavailable,
        };
        let text = format_args!("{flag} {address}: {error}; name another address, or port 0");
        Failure::new(exit, text)
    })
}

/// One line for people; nobody is left to tell if standard error is gone.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
