//! How a program ends: an exit code, a line for people if it failed, and its last words for
//! whoever looks at its pod.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nightshift_core::exit::Exit;
use nightshift_core::last_words::LastWords;

use crate::failure::Failure;
use crate::secrets::Secrets;

/// Environment variable with the file for the last words, instead of a container's own.
const WORDS_VARIABLE: &str = "NIGHTSHIFT_TERMINATION_LOG";
/// Where Kubernetes looks for the last words of a container.
const WORDS_FILE: &str = "/dev/termination-log";

/// How long a line for people may take on the way out: whoever reads standard error may have
/// stopped, and the process has to end all the same.
const PRINT_MAX: Duration = Duration::from_millis(500);

/// Ends `program`: says what failed, leaves the last words, and gives the exit code.
pub fn end(program: &str, ended: Result<Exit, Failure>) -> ExitCode {
    let exit = match ended {
        Ok(exit) => {
            leave(&LastWords::new(program, VERSION, exit));
            exit
        }
        Err(failure) => {
            leave(&words(program, &failure));
            failure.print();
            failure.exit()
        }
    };
    ExitCode::from(exit.code())
}

/// Ends `program` where it stands, whatever its threads are doing, as a kill would. Takes no
/// longer than half a second.
pub fn end_now(program: &str, failure: Failure) -> ! {
    leave(&words(program, &failure));
    let code = i32::from(failure.exit().code());
    let (printed, done) = mpsc::channel();
    let failure = Arc::new(failure);
    let told = Arc::clone(&failure);
    let print = move || {
        told.print();
        let _ = printed.send(());
    };
    match std::thread::Builder::new().name("end".to_owned()).spawn(print) {
        Ok(_) => {
            let _ = done.recv_timeout(PRINT_MAX);
        }
        Err(_) => failure.print(),
    }
    signal_hook::low_level::exit(code)
}

/// Ends `program` where it stands when it has not ended by itself within `limit`. To be called
/// when it was told to end, so that nothing that hangs on the way out can keep it.
pub fn end_within(limit: Duration, program: &'static str, failure: Failure) {
    let wait = move || {
        std::thread::sleep(limit);
        end_now(program, failure)
    };
    if let Err(error) = std::thread::Builder::new().name("end".to_owned()).spawn(wait) {
        tracing::warn!(%error, "nothing bounds the end of this process");
    }
}

/// What clap has to say: help and version are success, everything else is a usage error.
pub fn usage(program: &str, error: &clap::Error) -> ExitCode {
    let said = error.render().to_string();
    // A value that is refused is repeated, and may hold a password. Nobody is left to tell if the
    // streams are gone.
    let said = Secrets::of_process().hide(&said);
    let _ = match &said {
        Cow::Borrowed(_) => error.print(),
        Cow::Owned(hidden) if error.use_stderr() => {
            std::io::stderr().lock().write_all(hidden.as_bytes())
        }
        Cow::Owned(hidden) => std::io::stdout().lock().write_all(hidden.as_bytes()),
    };
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    let message = error.use_stderr().then(|| said.trim().to_owned());
    leave(&LastWords { message, ..LastWords::new(program, VERSION, exit) });
    ExitCode::from(exit.code())
}

/// All programs have one version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn words(program: &str, failure: &Failure) -> LastWords {
    LastWords {
        message: Some(Secrets::of_process().hide(&failure.to_string()).into_owned()),
        run: failure.run().map(ToString::to_string),
        shard: failure.shard(),
        ..LastWords::new(program, VERSION, failure.exit())
    }
}

/// Writes the last words where somebody will look for them.
fn leave(words: &LastWords) {
    let named = std::env::var_os(WORDS_VARIABLE).filter(|file| !file.is_empty());
    let mut options = OpenOptions::new();
    options.write(true).truncate(true);
    let file = match named {
        Some(file) => {
            options.create(true);
            PathBuf::from(file)
        }
        // A process that somebody starts in a running container (`kubectl exec`) has its parent
        // outside; the file is for the program that the container was started with.
        None if std::os::unix::process::parent_id() == 0 && std::process::id() != 1 => return,
        None => PathBuf::from(WORDS_FILE),
    };
    // Outside a pod there is no such file, and where it cannot be written nobody else looks.
    let written = options.open(&file).and_then(|mut file| file.write_all(words.line().as_bytes()));
    if let Err(error) = written {
        tracing::debug!(path = %file.display(), %error, "no last words");
    }
}
