//! A worker that was started by a coordinator ends with it.

use std::io::Read;

use nightshift_worker::source::Drain;

use crate::PROGRAM;

/// Set by whoever holds the other end of standard input for as long as it lives.
const END_WITH_STDIN: &str = "NIGHTSHIFT_END_WITH_STDIN";

/// Drains when standard input ends, if the process that started this one wants it so. It ends also
/// when that process is killed, so that no worker stays behind.
pub(crate) fn drain_with_parent(drain: &Drain) -> std::io::Result<()> {
    if std::env::var_os(END_WITH_STDIN).is_none_or(|value| value.is_empty()) {
        return Ok(());
    }
    let drain = drain.clone();
    let watch = move || {
        let mut rest = [0; 64];
        let mut stdin = std::io::stdin().lock();
        // An error means as much as the end: nobody is there.
        while stdin.read(&mut rest).is_ok_and(|read| read > 0) {}
        drain.end_in_time(PROGRAM);
    };
    // The thread ends with the process.
    std::thread::Builder::new().name("parent".to_owned()).spawn(watch).map(|_| ())
}
