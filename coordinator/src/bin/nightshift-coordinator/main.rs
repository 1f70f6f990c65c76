//! The `nightshift-coordinator` command: see `--help`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use nightshift_coordinator::coordinator::Coordinator;
use nightshift_coordinator::grpc::GrpcError;
use nightshift_coordinator::ledger::redis::{RedisLedger, RedisSettings};
use nightshift_coordinator::ledger::{Keeper, Ledger, MemoryLedger};
use nightshift_coordinator::settings::LeaseTimes;
use nightshift_coordinator::{grpc, http};
use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_telemetry::LogFormat;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

mod args;
mod tls;

use args::{Arguments, LogFormatArg};

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
    let signals =
        |error| Failure::new(Exit::Io, format_args!("signals cannot be handled: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
    let tls = tls::of(arguments)?;
    let grpc_listener = listen("--listen", arguments.listen).await?;
    let http_listener = listen("--http", arguments.http).await?;
    let keeper = Keeper::start(ledger(arguments)?);
    let coordinator = Coordinator::open(&arguments.home, times, keeper.handle())
        .await
        .map_err(|error| Failure::new(error.exit(), describe(&error)))?;
    if let (Ok(grpc), Ok(http)) = (grpc_listener.local_addr(), http_listener.local_addr()) {
        say(&format!("nightshift-coordinator: serving gRPC on {grpc} and HTTP on {http}"));
    }
    let (end, ended) = watch::channel(false);
    nightshift_telemetry::spawn("tick", Arc::clone(&coordinator).tick());
    let recovering = Arc::clone(&coordinator);
    nightshift_telemetry::spawn("recover", async move { recovering.recover().await });
    let http = http::serve(Arc::clone(&coordinator), http_listener, told(ended.clone()));
    let http = nightshift_telemetry::spawn("http", http);
    let grpc = grpc::serve(Arc::clone(&coordinator), grpc_listener, tls, told(ended));
    let grpc = nightshift_telemetry::spawn("grpc", grpc);
    tokio::pin!(grpc, http);
    let failed = |what: &str, error: String| {
        Failure::new(Exit::Io, format_args!("the {what} server failed: {error}"))
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        ended = &mut grpc => return match ended {
            Ok(Err(error @ GrpcError::Tls(_))) => {
                Err(Failure::new(Exit::Config, describe(&error)))
            }
            Ok(Err(error)) => Err(failed("gRPC", describe(&error))),
            _ => Err(failed("gRPC", "it ended".to_owned())),
        },
        ended = &mut http => return match ended {
            Ok(Err(error)) => Err(failed("HTTP", error.to_string())),
            _ => Err(failed("HTTP", "it ended".to_owned())),
        },
    }
    tracing::info!("told to end");
    coordinator.end();
    end.send_replace(true);
    // Whoever is not answered by then tries again with the next coordinator.
    let _ = tokio::time::timeout(GRACE, async { tokio::join!(grpc, http) }).await;
    keeper.stop().await;
    Ok(())
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
