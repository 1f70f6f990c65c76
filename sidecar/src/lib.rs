//! The sidecar: takes metrics from the worker beside it and serves them to Prometheus.
//!
//! In the order of the data:
//!
//! 1. [`settings`]: checked settings, and every limit by name.
//! 2. [`receive`]: the OTLP/gRPC services for metrics and traces.
//! 3. [`reading`]: what an OTLP message says, point by point, as series or as a reason to drop it.
//! 4. [`names`]: names and labels as Prometheus wants them.
//! 5. [`store`]: the last value of every series, never more series than allowed; [`dropped`]: why
//!    a point is not in it.
//! 6. [`cgroup`]: memory, CPU and pressure of a control group.
//! 7. [`scrape`]: the HTTP port; the text formats are in [`nightshift_telemetry::exposition`].
//! 8. [`forward`]: traces go on to a collector where one is named.
//! 9. [`handing`]: the last numbers go to the coordinator, when the pod ends.
//! 10. [`bounded`]: how many connections there may be, and for how long.
//!
//! Nothing here reads a clock for a value: what is served is what was sent last.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod bounded;
pub mod cgroup;
pub mod dropped;
pub mod forward;
pub mod handing;
pub mod names;
pub mod reading;
pub mod receive;
pub mod scrape;
pub mod settings;
pub mod store;
