use serde_json::Value;

use super::*;
use crate::log::LogFormat;
use crate::log::tests::{lines, lines_filtered};

#[test]
fn a_task_keeps_the_span_it_was_spawned_in() {
    let lines = lines(LogFormat::Json, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let task = tracing::info_span!("shard", shard = 17)
                .in_scope(|| spawn("committer", async { tracing::info!("done") }));
            task.await.unwrap();
        });
    });
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["task"], &line["shard"]), (&"committer".into(), &17.into()));
}

#[test]
fn a_task_whose_own_span_is_filtered_away_keeps_the_others() {
    let lines = lines_filtered("nightshift_telemetry::task::tests=info", || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let task = tracing::info_span!("shard", shard = 17)
                .in_scope(|| spawn("committer", async { tracing::info!("done") }));
            task.await.unwrap();
        });
    });
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["task"], &line["shard"]), (&Value::Null, &17.into()));
}
