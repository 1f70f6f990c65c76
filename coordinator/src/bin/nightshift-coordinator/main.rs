//! The `nightshift-coordinator` command: see `--help`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use nightshift_coordinator::coordinator::Coordinator;
use nightshift_coordinator::grpc::GrpcError;
use nightshift_coordinator::http::Leading;
use nightshift_coordinator::launch::reconciler::reconcile;
use nightshift_coordinator::leader::Election;
use nightshift_coordinator::settings::LeaseTimes;
use nightshift_coordinator::{grpc, http};
use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_ledger::redis::{RedisLedger, RedisSettings};
use nightshift_ledger::{Keeper, Ledger, MemoryLedger};
use nightshift_telemetry::LogFormat;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

mod args;
mod launching;
mod tls;

use args::{Arguments, LogFormatArg};
use launching::Plan;

/// Messages are allocated and freed by many tasks at once, which this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long calls under way may take to end; then the process ends without them.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// A start that failed, or an end that is no good.
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

fn main() -> ExitCode {
    // Before any TLS: rustls is built with one provider here, and with another in some tests. An
    // error says that one is installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell if the streams are gone.
            let _ = error.print();
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return ExitCode::from(exit.code());
        }
    };
    match perform(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, message }) => {
            say(&format!("error: {message}"));
            ExitCode::from(exit.code())
        }
    }
}

fn perform(arguments: &Arguments) -> Result<(), Failure> {
    let format = match arguments.log_format {
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    nightshift_telemetry::init(format, &arguments.log)
        .map_err(|error| Failure::new(Exit::Usage, format_args!("--log: {}", describe(&error))))?;
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

async fn serve(arguments: &Arguments, times: LeaseTimes) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let plan = Plan::of(arguments).await?;
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
            () = signals.told() => return Ok(()),
            ended = &mut http => return Err(http_failed(ended)),
        }
    }
    let grpc_listener = listen("--listen", arguments.listen).await?;
    let keeper = Keeper::start(ledger(arguments)?);
    let coordinator = Coordinator::open(&arguments.home, times, keeper.handle())
        .await
        .map_err(|error| Failure::new(error.exit(), describe(&error)))?;
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
    let launcher = plan.start(arguments, serving).map(|(launcher, seen)| {
        let reconciling = reconcile(Arc::clone(&coordinator), Arc::clone(&launcher), seen);
        nightshift_telemetry::spawn("reconcile", reconciling);
        launcher
    });
    let lost = tokio::select! {
        () = signals.told() => false,
        () = hold(&mut election) => true,
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
    tracing::info!("told to end");
    if let Some(launcher) = launcher {
        // Served meanwhile, so that workers that end can give their shards back.
        launcher.end().await;
    }
    coordinator.end();
    end.send_replace(true);
    // Whoever is not answered by then tries again with the next coordinator.
    let _ = tokio::time::timeout(GRACE, async { tokio::join!(grpc, http) }).await;
    keeper.stop().await;
    if let Some(election) = &mut election {
        election.release().await;
    }
    Ok(())
}

/// Handlers for the signals that end the process. They are installed explicitly, because a process
/// with the number 1, as in a container, ignores signals without a handler.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let failed =
            |error| Failure::new(Exit::Io, format_args!("signals cannot be handled: {error}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    /// Resolves when the process is told to end.
    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
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
