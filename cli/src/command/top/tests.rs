//! Keys and looks in, drawings out, on a terminal in memory.

use std::time::Duration;

use insta::assert_snapshot;
use jiff::Timestamp;
use nightshift_core::conclusion::QuarantinedShard;
use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::Token;
use nightshift_core::record::FailureClass;
use nightshift_proto::leases::Phase;
use nightshift_proto::leases::report::Failure;
use nightshift_proto::runs::get::{FoundRun, ShardLease, ShardState, ShardStatus};
use nightshift_proto::runs::status::{RowCounts, RunState, RunStatus, ShardCounts};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::lines;
use super::model::{Key, Look, Model, Page, Wish};
use super::view::{self, Palette};

const ROWS: u64 = 100;

fn now(second: i64) -> Timestamp {
    Timestamp::from_second(1_796_000_000 + second).unwrap()
}

fn run(id: &str, state: RunState, done: u32, total: u32) -> RunStatus {
    let is_over = state.verdict().is_some();
    let quarantined = if state == RunState::Partial { total - done } else { 0 };
    RunStatus {
        run: id.parse().unwrap(),
        state,
        shards: ShardCounts {
            total,
            committed: done,
            quarantined,
            leased: 0,
            delayed: 0,
            ready: total - done - quarantined,
        },
        rows: RowCounts {
            planned: u64::from(total) * ROWS,
            out: u64::from(done) * ROWS,
            quarantined: u64::from(quarantined) * ROWS,
            ..RowCounts::default()
        },
        workers: 0,
        epoch: 2,
        planned_at: Some(now(-200)),
        decided_at: is_over.then(|| now(-20)),
        notice: String::new(),
    }
}

fn running(done: u32) -> RunStatus {
    let mut status = run("flights-2013-01-31-g1", RunState::Running, done, 20);
    status.shards.leased = 2;
    status.shards.delayed = 1;
    status.shards.ready -= 3;
    status.workers = 2;
    status
}

fn runs(done: u32) -> Vec<RunStatus> {
    vec![
        running(done),
        run("flights-2013-01-30-g2", RunState::Succeeded, 20, 20),
        run("a-spec-with-a-long-name-indeed-2013-01-29-g1", RunState::Partial, 17, 20),
        run("texts-all-g1", RunState::Planning, 0, 0),
    ]
}

fn look(done: u32) -> Look {
    Look { runs: runs(done), more: false, ready: Some(true) }
}

fn details(rows_done: u64) -> FoundRun {
    let lease = |sequence: u64, worker: &str, phase, rows_done| ShardLease {
        token: Token { epoch: 2, sequence },
        worker: worker.parse().unwrap(),
        phase,
        rows_done,
        age_ms: 42_000,
        heard_ms: 3_000,
    };
    let shard = |index: u32, leases: Vec<ShardLease>| ShardStatus {
        shard: ShardIndex(index),
        state: ShardState::Leased,
        rows: ROWS,
        failed_attempts: 0,
        preempted_attempts: 0,
        attempt: None,
        leases,
        last_failure: None,
    };
    let delayed = ShardStatus {
        state: ShardState::Delayed,
        failed_attempts: 3,
        preempted_attempts: 1,
        last_failure: Some(Failure {
            class: FailureClass::Transient,
            reason: "store_timeout".parse().unwrap(),
            message: "the store did not answer for 30 s".into(),
        }),
        ..shard(12, Vec::new())
    };
    FoundRun {
        run: running(10),
        verdict: None,
        quarantined: vec![QuarantinedShard {
            shard: ShardIndex(3),
            rows: ROWS,
            class: FailureClass::Data,
            reason: "rejects_over_budget".to_owned(),
            message: "3 of 100 rows were rejected, 1 are allowed; mend the rows".to_owned(),
        }],
        shard: None,
        open_shards: vec![
            shard(7, vec![lease(8, "node-1:4711", Phase::Scoring, rows_done)]),
            shard(
                11,
                vec![lease(12, "a-pod-with-a-very-long-name-0:17:01M8", Phase::Committing, 100)],
            ),
            delayed,
        ],
    }
}

/// Two looks a second apart, of the runs and of the first one.
fn model() -> Model {
    let mut model = Model::new("http://127.0.0.1:7070".to_owned(), now(0));
    for (second, done) in [(0, 8), (1, 10)] {
        let at = Duration::from_secs(second);
        model.looked(at, now(second.cast_signed()), look(done));
        model.looked_closely(at, Some(details(30 + 20 * second)));
    }
    model
}

fn drawn_with(model: &Model, width: u16, height: u16, colours: bool) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, model, Palette { colours })).unwrap();
    terminal
}

fn drawn(model: &Model, width: u16, height: u16) -> String {
    drawn_with(model, width, height, false).backend().to_string()
}

#[test]
fn runs_and_the_selected_one_are_shown() {
    assert_snapshot!(drawn(&model(), 80, 24));
}

#[test]
fn a_small_terminal_shows_what_matters_most() {
    assert_snapshot!(drawn(&model(), 44, 9));
}

#[test]
fn the_selected_run_alone_has_the_whole_screen() {
    let mut model = model();
    assert_eq!(model.key(Key::Enter), Wish::Draw);
    assert_snapshot!(drawn(&model, 100, 16));
}

#[test]
fn help_fits_the_smallest_usual_terminal() {
    let mut model = model();
    model.key(Key::Character('?'));
    assert_snapshot!(drawn(&model, 80, 24));
}

#[test]
fn what_is_old_says_so_and_claims_no_rates() {
    let mut model = model();
    model.failed(now(3), "connection refused".to_owned(), now(5));
    model.failed(now(34), "connection refused".to_owned(), now(44));
    let shown = drawn(&model, 110, 24);
    assert_snapshot!(shown);
    assert!(shown.contains("OLD"), "{shown}");
    model.looked(Duration::from_secs(40), now(40), look(11));
    assert!(!drawn(&model, 110, 24).contains("OLD"));
}

#[test]
fn nothing_seen_yet_is_no_table() {
    let mut model = Model::new("http://127.0.0.1:7070".to_owned(), now(0));
    assert!(drawn(&model, 80, 24).contains("looking for the first time"));
    model.failed(now(1), "connection refused".to_owned(), now(2));
    let shown = drawn(&model, 80, 24);
    assert!(shown.contains("no answer since") && !shown.contains("OLD"), "{shown}");
    model.looked(Duration::ZERO, now(3), Look { runs: Vec::new(), more: false, ready: None });
    assert!(drawn(&model, 80, 24).contains("no runs yet"));
}

#[test]
fn keys_select_sort_filter_and_end() {
    let mut model = model();
    let selected = |model: &Model| model.selected().unwrap().to_string();
    assert_eq!(selected(&model), "flights-2013-01-31-g1");
    model.key(Key::Down);
    assert_eq!(selected(&model), "flights-2013-01-30-g2");
    assert!(model.details().is_none(), "details are of the run that was selected");
    model.key(Key::Character('G'));
    assert_eq!(selected(&model), "texts-all-g1");
    model.key(Key::Down);
    assert_eq!(selected(&model), "texts-all-g1");
    model.key(Key::PageUp);
    assert_eq!(selected(&model), "flights-2013-01-31-g1");

    // The selection stays on its run, wherever the order puts it.
    model.key(Key::Character('s'));
    let names: Vec<String> = model.shown().iter().map(|run| run.run.to_string()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!((selected(&model), model.cursor()), ("flights-2013-01-31-g1".to_owned(), 2));
    for _ in 0..3 {
        model.key(Key::Character('s'));
    }
    assert!(model.shown()[0].run.to_string().starts_with("a-spec"), "by failed shards");

    for key in ['/', 'T', 'e', 'x', 'q'].map(Key::Character) {
        assert_eq!(model.key(key), Wish::Draw, "a filter takes any letter");
    }
    assert!(model.shown().is_empty() && model.selected().is_none());
    model.key(Key::Backspace);
    assert_eq!(selected(&model), "texts-all-g1");
    model.key(Key::Enter);
    assert!(!model.typing && model.page == Page::Runs);
    model.key(Key::Escape);
    assert_eq!(model.shown().len(), 4);

    model.key(Key::Character('p'));
    assert!(model.paused && drawn(&model, 80, 24).contains("PAUSED"));
    assert_eq!(model.key(Key::Character('q')), Wish::Quit);
    model.key(Key::Character('/'));
    assert_eq!(model.key(Key::Interrupt), Wish::Quit, "ctrl-c ends even while a filter is typed");
}

#[test]
fn a_run_that_goes_hands_its_selection_on() {
    let mut model = model();
    model.key(Key::Down);
    let mut fewer = look(10);
    fewer.runs.remove(1);
    model.looked(Duration::from_secs(2), now(2), fewer);
    assert!(model.selected().unwrap().to_string().starts_with("a-spec"));
}

#[test]
fn rates_are_of_looks_and_the_eta_of_rates() {
    let model = model();
    let first = model.shown()[0];
    // 200 rows in a second between the looks; 1,000 are left.
    assert_eq!(model.rate(first), Some(200.0));
    assert_eq!(model.time_left(first), Some(Duration::from_secs(5)));
    assert_eq!(model.lease_rate(Token { epoch: 2, sequence: 8 }), Some(20.0));
    assert_eq!(model.rate(model.shown()[1]), None, "what is over has no rate");
}

#[test]
fn without_a_terminal_a_look_is_a_block_of_lines() {
    assert_snapshot!(lines::block(&model()));
    let line = lines::json(&model()).unwrap();
    assert_eq!(line.matches('\n').count(), 1);
    let view: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(view["runs"][0]["rows_per_s"], 200.0);
    assert_eq!(view["runs"][0]["eta_s"], 5);
    assert_eq!((&view["answers"], &view["ready"]), (&true.into(), &true.into()));
}

#[test]
fn colours_are_left_out_where_nobody_wants_them() {
    use ratatui::style::Color;
    let coloured = |colours| {
        let terminal = drawn_with(&model(), 80, 24, colours);
        let cells = terminal.backend().buffer().content().to_vec();
        cells.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(coloured(true) && !coloured(false));
}

/// Text as an enemy would send it.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\x1b[2J\x1b]0;title\x07\u{9b}31m\r\n\t\u{202e}".to_owned()),
        any::<String>(),
        "\\PC{0,300}",
    ]
}

proptest! {
    #[test]
    fn no_size_and_no_text_breaks_the_drawing(
        width in 0_u16..130,
        height in 0_u16..40,
        text in hostile(),
        keys in prop::collection::vec(prop::sample::select(vec![
            Key::Up, Key::Down, Key::Enter, Key::Escape, Key::PageDown, Key::Character('?'),
            Key::Character('s'), Key::Character('/'), Key::Character('é'), Key::Backspace,
        ]), 0..12),
    ) {
        let mut model = model();
        let mut found = details(50);
        found.run.notice.clone_from(&text);
        found.quarantined[0].message.clone_from(&text);
        model.looked_closely(Duration::from_secs(2), Some(found));
        for key in keys {
            model.key(key);
        }
        for c in text.chars() {
            if model.typing {
                model.key(Key::Character(c));
            }
        }
        model.failed(now(9), text, now(8));
        let terminal = drawn_with(&model, width, height, true);
        for cell in terminal.backend().buffer().content() {
            prop_assert!(
                !cell.symbol().chars().any(|c| c.is_control() || nightshift_core::describe::turns(c)),
                "{:?}", cell.symbol()
            );
        }
        prop_assert!(!lines::block(&model).chars().any(|c| c.is_control() && c != '\n'));
        prop_assert_eq!(lines::json(&model).unwrap().matches('\n').count(), 1);
    }
}
