//! The words of a dialogue: settings and events read from text, events and effects written as
//! text.
//!
//! ```text
//! table shards=3 ttl=30s            a new table, and time starts anew
//! at 40s                            what follows happens at this moment
//! > want w1 #7 max 2                an event
//! < grant w1 1.0/0                  an effect: lease 1.0 (epoch.sequence) on shard 0
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::{
    Advice, BackupRules, BreakerRules, Effect, Event, Holding, LeaseSettings, LeaseState,
    LeaseTable, Moment, RequestId, RetryRules, Token, WorkerId,
};
use nightshift_core::record::FailureClass;

pub(crate) type Parsed<T> = Result<T, String>;

pub(crate) fn table(words: &[&str]) -> Parsed<LeaseTable> {
    let mut settings = LeaseSettings {
        ttl_ms: 30_000,
        retry: RetryRules::with_crash_budget(4),
        backup: None,
        breaker: None,
    };
    let (mut shards, mut epoch, mut decided, mut adopting) = (1, 1, BTreeSet::new(), false);
    let mut canary = None;
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "shards" => shards = number(value)?,
            "epoch" => epoch = number(value)?,
            "ttl" => settings.ttl_ms = duration(value)?,
            "crashes" => settings.retry.crash_budget = number(value)?,
            "decided" => {
                let indexes = value.split(',').map(number).collect::<Parsed<BTreeSet<u32>>>()?;
                decided = indexes.into_iter().map(ShardIndex).collect();
            }
            "backup" => settings.backup = Some(BackupRules::DEFAULT),
            "breaker" => settings.breaker = Some(BreakerRules::DEFAULT),
            "canary" => canary = Some(ShardIndex(number(value)?)),
            "adopting" => adopting = true,
            _ => return Err(format!("`{word}` is not a setting of a table")),
        }
    }
    let table = LeaseTable::new(settings, epoch, shards, &decided, (0..shards).map(ShardIndex));
    let table = match canary {
        Some(shard) => table.with_canary(shard),
        None => table,
    };
    Ok(if adopting { table.awaiting_adoption(Moment(0)) } else { table })
}

pub(crate) fn event(text: &str) -> Parsed<Event> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words[..] {
        ["want", worker, request] => want(worker, request, 1)?,
        ["want", worker, request, "max", max] => want(worker, request, number(max)?)?,
        ["beat", worker, ref leases @ ..] => Event::HeartbeatArrived {
            worker: worker_id(worker)?,
            leases: leases.iter().map(|lease| holding(lease)).collect::<Parsed<_>>()?,
        },
        ["decided", shard] => Event::ShardDecided { shard: ShardIndex(number(shard)?), by: None },
        ["decided", shard, "by", by] => {
            Event::ShardDecided { shard: ShardIndex(number(shard)?), by: Some(token(by)?) }
        }
        ["failed", lease, kind, reason] => Event::AttemptFailed {
            lease: holding(lease)?,
            class: class(kind)?,
            reason: reason.to_owned(),
            message: String::new(),
        },
        ["release", lease] => Event::LeaseReleased { token: token(lease)? },
        ["lost", worker, kind, reason] => Event::WorkerLost {
            worker: worker_id(worker)?,
            class: class(kind)?,
            reason: reason.to_owned(),
            message: String::new(),
        },
        ["quarantine-failed", shard] => {
            Event::QuarantineFailed { shard: ShardIndex(number(shard)?) }
        }
        ["learned", worker, rows] => {
            Event::BatchLearned { worker: worker_id(worker)?, rows: number(rows)? }
        }
        ["canary", "passed"] => Event::CanaryPassed,
        ["pass"] => Event::TimePassed,
        ["drain"] => Event::DrainRequested,
        ["drain", worker] => Event::WorkerDrainRequested { worker: worker_id(worker)? },
        ["retire", worker] => Event::WorkerRetireRequested { worker: worker_id(worker)? },
        _ => return Err(format!("`{text}` is not an event")),
    })
}

fn want(worker: &str, request: &str, max: u32) -> Parsed<Event> {
    let request = request.strip_prefix('#').ok_or("a request is written #1")?;
    let request = RequestId(number(request)?);
    Ok(Event::WorkWanted { worker: worker_id(worker)?, request, max })
}

fn number<T: std::str::FromStr>(text: &str) -> Parsed<T> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

pub(crate) fn duration(text: &str) -> Parsed<u64> {
    if let Some(ms) = text.strip_suffix("ms") {
        return number(ms);
    }
    let seconds = text.strip_suffix('s').ok_or_else(|| format!("`{text}` has no unit s or ms"))?;
    Ok(number::<u64>(seconds)? * 1_000)
}

fn worker_id(text: &str) -> Parsed<WorkerId> {
    let digits = text.strip_prefix('w').ok_or_else(|| format!("`{text}` is not a worker: w1"))?;
    Ok(WorkerId(number(digits)?))
}

fn token(text: &str) -> Parsed<Token> {
    let (epoch, sequence) =
        text.split_once('.').ok_or_else(|| format!("`{text}` is not a token: 1.0"))?;
    Ok(Token { epoch: number(epoch)?, sequence: number(sequence)? })
}

fn holding(text: &str) -> Parsed<Holding> {
    let (name, shard) =
        text.split_once('/').ok_or_else(|| format!("`{text}` is not a lease: 1.0/7"))?;
    Ok(Holding { token: token(name)?, shard: ShardIndex(number(shard)?) })
}

fn class(text: &str) -> Parsed<FailureClass> {
    use FailureClass::{Cancelled, Config, Data, Lost, Preempted, Transient};
    let all = [Preempted, Lost, Transient, Data, Config, Cancelled];
    let found = all.into_iter().find(|class| class.as_str() == text);
    found.ok_or_else(|| format!("`{text}` is not a kind of failure"))
}

pub(crate) fn moment(now: Moment) -> String {
    if now.0.is_multiple_of(1_000) { format!("{}s", now.0 / 1_000) } else { format!("{}ms", now.0) }
}

fn held(lease: &Holding) -> String {
    format!("{}/{}", lease.token, lease.shard)
}

pub(crate) fn written_event(event: &Event) -> String {
    match event {
        Event::WorkWanted { worker, request, max } => {
            format!("want w{} #{} max {max}", worker.0, request.0)
        }
        Event::HeartbeatArrived { worker, leases } => {
            let leases: String = leases.iter().map(|lease| format!(" {}", held(lease))).collect();
            format!("beat w{}{leases}", worker.0)
        }
        Event::ShardDecided { shard, by: None } => format!("decided {shard}"),
        Event::ShardDecided { shard, by: Some(by) } => format!("decided {shard} by {by}"),
        Event::AttemptFailed { lease, class, reason, .. } => {
            format!("failed {} {} {reason}", held(lease), class.as_str())
        }
        Event::LeaseReleased { token } => format!("release {token}"),
        Event::WorkerLost { worker, class, reason, .. } => {
            format!("lost w{} {} {reason}", worker.0, class.as_str())
        }
        Event::QuarantineFailed { shard } => format!("quarantine-failed {shard}"),
        Event::BatchLearned { worker, rows } => format!("learned w{} {rows}", worker.0),
        Event::CanaryPassed => "canary passed".to_owned(),
        Event::TimePassed => "pass".to_owned(),
        Event::DrainRequested => "drain".to_owned(),
        Event::WorkerDrainRequested { worker } => format!("drain w{}", worker.0),
        Event::WorkerRetireRequested { worker } => format!("retire w{}", worker.0),
    }
}

pub(crate) fn written_effect(effect: &Effect) -> String {
    match effect {
        Effect::Grant { worker, lease, backup, batch_rows } => {
            let mut text = format!("grant w{} {}", worker.0, held(&(*lease).into()));
            if lease.earlier_attempts > 0 {
                let _ = write!(text, " after {}", lease.earlier_attempts);
            }
            if *backup {
                text += " backup";
            }
            if let Some(rows) = batch_rows {
                let _ = write!(text, " batch {rows}");
            }
            text
        }
        Effect::Wait { worker, until: None } => format!("wait w{}", worker.0),
        Effect::Wait { worker, until: Some(until) } => {
            format!("wait w{} until {}", worker.0, moment(*until))
        }
        Effect::Retire { worker } => format!("retire w{}", worker.0),
        Effect::Drain { worker } => format!("drain w{}", worker.0),
        Effect::AnswerHeartbeat { worker, leases, advice } => {
            let mut text = format!("beat w{}", worker.0);
            for answer in leases {
                let state = match answer.state {
                    LeaseState::Ok => "ok",
                    LeaseState::Revoked => "revoked",
                    LeaseState::Unknown => "unknown",
                };
                let _ = write!(text, " {} {state}", answer.token);
            }
            text += match advice {
                Advice::Continue => "",
                Advice::Drain => " and drain",
                Advice::Retire => " and retire",
            };
            text
        }
        Effect::WriteQuarantine { shard, class, reason, attempts, .. } => {
            format!("quarantine {shard} {} {reason} after {attempts}", class.as_str())
        }
        Effect::ReportGrantsStopped { class, reason, failed, ended, until } => format!(
            "grants stopped until {}: {failed} of {ended} {} {reason}",
            moment(*until),
            class.as_str()
        ),
        Effect::ReportGrantsResumed => "grants resumed".to_owned(),
        Effect::StopRun { reason, .. } => format!("stop run {reason}"),
        Effect::JudgeCanary { shard } => format!("judge canary {shard}"),
        Effect::AllDecided => "all decided".to_owned(),
    }
}
