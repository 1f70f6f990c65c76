//! The `nightshift-coordinator` command: see `--help`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use nightshift_coordinator::coordinator::Coordinator;
use nightshift_coordinator::grpc::GrpcError;
use nightshift_coordinator::http::Leading;
use nightshift_coordinator::identity::Identity;
use nightshift_coordinator::launch::reconciler::reconcile;
use nightshift_coordinator::leader::Election;
use nightshift_coordinator::settings::LeaseTimes;
use nightshift_coordinator::{grpc, http};
use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_ledger::redis::{RedisLedger, RedisSettings};
use nightshift_ledger::{Keeper, Ledger, MemoryLedger};
use nightshift_storage::deciding::Deciding;
use nightshift_storage::error::StoreError;
use nightshift_telemetry::ending::{end, end_within, usage};
use nightshift_telemetry::signals::{Signals, end_on_the_spot};
use nightshift_telemetry::{Failure, Sends};
use tokio::net::TcpListener;
use tokio::sync::watch;

mod args;
mod launching;
mod tls;

use args::Arguments;
use launching::Plan;

/// Messages are allocated and freed by many tasks at once, which this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long calls under way may take to end; then the process ends without them.
const GRACE: Duration = Duration::from_secs(2);

/// How long the whole end may take. A pod gets 15 s; workers of `--launch local` take 12 s of them
/// at most.
const END_WITHIN: Duration = Duration::from_secs(14);

/// The program, as it names itself at its end.
const PROGRAM: &str = "nightshift-coordinator";

fn main() -> ExitCode {
    // Before any TLS: rustls is built with one provider here, and with another in some tests. An
    // error says that one is installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Err(failure) = end_on_the_spot(Exit::Done) {
        return end(PROGRAM, Err(failure));
    }
    match Arguments::try_parse() {
        Ok(arguments) => end(PROGRAM, perform(&arguments).map(|()| Exit::Done)),
        Err(error) => usage(PROGRAM, &error),
    }
}

fn perform(arguments: &Arguments) -> Result<(), Failure> {
    // Until the end of this function: then what is left to send is sent. Its metrics are on its
    // own page.
    let _exporting = nightshift_telemetry::init_exporting(
        arguments.log_format,
        &arguments.log,
        PROGRAM,
        Sends::Traces,
    )?;
    let times = LeaseTimes::new(arguments.lease_ttl, arguments.heartbeat)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("coordinator")
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::Io, format_args!("no threads to work with: {error}"))
        })?;
    let ended = runtime.block_on(serve(arguments, times));
    // Work that blocks on a store that hangs must not keep the process.
    runtime.shutdown_timeout(GRACE);
    ended
}

/// From the signal on the time is counted, whatever is still under way.
fn end_in_time() {
    tracing::info!("told to end");
    let text = format_args!(
        "cut off {} s after it was told to end; what is decided lies in the outputs",
        END_WITHIN.as_secs()
    );
    end_within(END_WITHIN, PROGRAM, Failure::new(Exit::Temporary, text));
}

async fn serve(arguments: &Arguments, times: LeaseTimes) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let plan = tokio::select! {
        plan = Plan::of(arguments) => plan?,
        () = signals.received() => return Ok(()),
    };
    let tls = tls::of(arguments)?;
    let http_listener = listen("--http", arguments.http).await?;
    let http_address = http_listener.local_addr();
    let (end, ended) = watch::channel(false);
    let leading = Leading::default();
    let http = http::serve(Arc::clone(&leading), http_listener, told(ended.clone()));
    let mut http = nightshift_telemetry::spawn("http", http);
    let mut election = plan.election(arguments);
    if let Some(election) = &mut election {
        if let Ok(http) = &http_address {
            say(&format!("nightshift-coordinator: standby, serving HTTP on {http}"));
        }
        tokio::select! {
            () = election.win() => tracing::info!("this replica leads"),
            () = signals.received() => return Ok(()),
            ended = &mut http => return Err(http_failed(ended)),
        }
    }
    let grpc_listener = listen("--listen", arguments.listen).await?;
    let who = Identity::of_this_process();
    let deciding = Deciding::new(arguments.commit_mode, who.to_string());
    let unusable = |error: StoreError| Failure::new(error.exit(), describe(&error));
    if let Some(warning) = deciding.warning(None).map_err(unusable)? {
        say(&format!("nightshift-coordinator: {warning}"));
    }
    let keeper = Keeper::start(ledger(arguments)?);
    let coordinator = tokio::select! {
        opened = Coordinator::open(&arguments.home, times, keeper.handle(), deciding.clone()) => {
            opened.map_err(unusable)?
        }
        () = signals.received() => {
            end_in_time();
            return Ok(());
        }
    };
    let serving = grpc_listener.local_addr().unwrap_or(arguments.listen);
    if let Ok(http) = http_address {
        say(&format!("nightshift-coordinator: serving gRPC on {serving} and HTTP on {http}"));
    }
    nightshift_telemetry::spawn("tick", Arc::clone(&coordinator).tick());
    let recovering = Arc::clone(&coordinator);
    nightshift_telemetry::spawn("recover", async move { recovering.recover().await });
    // Set once, here.
    let _ = leading.set(Arc::clone(&coordinator));
    let grpc = grpc::serve(Arc::clone(&coordinator), grpc_listener, tls, told(ended));
    let mut grpc = nightshift_telemetry::spawn("grpc", grpc);
    let launcher = plan.start(arguments, serving, &coordinator).map(|(launcher, seen)| {
        let reconciling = reconcile(Arc::clone(&coordinator), Arc::clone(&launcher), seen);
        nightshift_telemetry::spawn("reconcile", reconciling);
        launcher
    });
    let lost = tokio::select! {
        () = signals.received() => false,
        () = hold(&mut election) => true,
        why = deciding.lost() => return Err(Failure::new(Exit::Temporary, why)),
        ended = &mut grpc => return Err(match ended {
            Ok(Err(error @ GrpcError::Tls(_))) => Failure::new(Exit::Config, describe(&error)),
            Ok(Err(error)) => failed("gRPC", describe(&error)),
            _ => failed("gRPC", "it ended".to_owned()),
        }),
        ended = &mut http => return Err(http_failed(ended)),
    };
    if lost {
        // Another may lead already. Leases that are granted from now on would only be wasted.
        let text =
            "another replica leads now, or Kubernetes does not answer; start again to stand by";
        return Err(Failure::new(Exit::Temporary, text));
    }
    end_in_time();
    if let Some(launcher) = launcher {
        // Served meanwhile, so that workers that end can give their shards back.
        launcher.end().await;
    }
    coordinator.end();
    end.send_replace(true);
    // Whoever is not answered by then tries again with the next coordinator.
    let _ = tokio::time::timeout(GRACE, async { tokio::join!(grpc, http) }).await;
    keeper.stop().await;
    deciding.release().await;
    if let Some(election) = &mut election {
        election.release().await;
    }
    Ok(())
}

/// Resolves when the lead is lost; never where there is no election.
async fn hold(election: &mut Option<Election>) {
    match election {
        Some(election) => election.hold().await,
        None => std::future::pending().await,
    }
}

fn failed(what: &str, error: String) -> Failure {
    Failure::new(Exit::Io, format_args!("the {what} server failed: {error}"))
}

fn http_failed(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> Failure {
    failed(
        "HTTP",
        match ended {
            Ok(Err(error)) => error.to_string(),
            _ => "it ended".to_owned(),
        },
    )
}

fn ledger(arguments: &Arguments) -> Result<Arc<dyn Ledger>, Failure> {
    let Some(url) = &arguments.redis else { return Ok(Arc::new(MemoryLedger::new())) };
    let settings = RedisSettings { url: url.clone(), ca_file: arguments.redis_ca.clone() };
    match RedisLedger::new(settings) {
        Ok(ledger) => Ok(Arc::new(ledger)),
        Err(error) => Err(Failure::new(Exit::Config, describe(&error))),
    }
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
