//! Ending in time when somebody wants the process to end.
//!
//! A pod that is deleted gets SIGTERM, and SIGKILL after 15 s. All that a worker does in between
//! is bounded from that one moment, not step by step, so that steps that each are slow do not add
//! up:
//!
//! ```text
//! 0 s   told to go: no new shard, attempts that are scoring stop at the end of their batch,
//!       leases that are not committing go back (within a second); commits go on
//! 7 s   nobody is told any more how attempts ended
//! 9 s   the process ends, whatever it is waiting for: a read, a load, a store that hangs
//! ```
//!
//! The end at 9 s is as safe as a kill: what has a record stays, everything else is tried again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nightshift_core::exit::Exit;
use nightshift_telemetry::Failure;
use nightshift_telemetry::ending::end_now;
use nightshift_telemetry::signals::{BOTH, take_over};
use signal_hook::iterator::Signals;

/// How long after it was told to go a worker still tells how attempts ended. A commit that takes
/// longer is found in the store.
pub const LAST_WORDS_WITHIN: Duration = Duration::from_secs(7);

/// How long after it was told to go the process may still run. Pods get 15 s, and 12 s are
/// promised, for a machine that is too busy to wake a thread in time.
pub const END_WITHIN: Duration = Duration::from_secs(9);

/// A request to stop at the next border: no new shard is handed out, attempts that are not
/// committing yet give up, commits go on to their end. Cheap to clone; set by a signal, or by
/// this process itself.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    signalled: Arc<AtomicBool>,
    requested: Arc<AtomicBool>,
    told: Arc<OnceLock<Instant>>,
}

impl Drain {
    /// Asks to stop, for a reason of this process's own: commits may take the time they need.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked to stop.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed) || self.signalled.load(Ordering::Relaxed)
    }

    /// When somebody outside wanted the process to end, if so.
    pub fn told(&self) -> Option<Instant> {
        self.told.get().copied()
    }

    /// Asks to stop because somebody outside wants the process to end, and ends it when its time
    /// is over. Call it on a thread that has nothing else to do: the process goes on meanwhile, and
    /// usually ends by itself before.
    pub fn end_in_time(&self, program: &str) -> ! {
        let told = *self.told.get_or_init(Instant::now);
        self.request();
        std::thread::sleep(END_WITHIN.saturating_sub(told.elapsed()));
        let text = format_args!(
            "drained: cut off after {} s, as a kill would, because something was still waited for; run it again to continue",
            END_WITHIN.as_secs()
        );
        end_now(program, Failure::new(Exit::Temporary, text))
    }
}

/// Requests a drain on the first SIGINT or SIGTERM, also as process 1 of a container, and ends
/// `program` [in time](Drain::end_in_time); a second signal ends it at once. Either way the exit
/// code is the one for a temporary failure.
///
/// # Errors
/// If the system refuses a handler, or gives no thread.
pub fn drain_on_signals(drain: &Drain, program: &'static str) -> io::Result<()> {
    for signal in BOTH {
        let code = i32::from(Exit::Temporary.code());
        // In this order: the second signal finds the flag that the first one set.
        let flag = &drain.signalled;
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(flag))?;
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    let mut signals = Signals::new(BOTH)?;
    let drain = drain.clone();
    let wait = move || {
        if signals.forever().next().is_some() {
            drain.end_in_time(program);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    take_over();
    Ok(())
}
