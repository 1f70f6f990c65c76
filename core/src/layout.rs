//! Every path under the output root, made and read back in one place.
//!
//! ```text
//! _nightshift/v1/root.json                           Object::Root
//! _nightshift/v1/holder.json                         Object::Holder     (where one process decides)
//! _nightshift/v1/claims/<partition>/g<n>.json        Object::Claim
//! _nightshift/v1/runs/<run>/plan.json                Object::Plan
//! _nightshift/v1/runs/<run>/epoch/<n>.json           Object::Epoch
//! _nightshift/v1/runs/<run>/records/0000017.json     Object::Record     <- the commit point
//! _nightshift/v1/finals/<partition>/g<n>.json        Object::Final
//! _nightshift/v1/approvals/<partition>/g<n>.json     Object::Approval
//! _nightshift/v1/removals/<partition>/g<n>.json      Object::Removal
//! _nightshift/v1/attempts/<run>/0000017/<attempt>/…  Object::Staged
//! _nightshift/v1/runs/<run>/tries/<channel>/<n>.json  Object::Try
//! _nightshift/v1/runs/<run>/told/<channel>.json      Object::Told
//! _nightshift/v1/served/<name>.json                  Object::Served   (under a coordinator's home)
//! date=<date>/gen=<n>/part-00017-of-00200.parquet    Object::Part       (all/gen=<n>/… when undated)
//! date=<date>/gen=<n>/rejects-00017-of-00200.jsonl   Object::Rejects
//! date=<date>/gen=<n>/_SUCCESS                       Object::Success
//! ```
//!
//! A path is only ever made from validated identifiers, so none can leave the root. Names with
//! a leading underscore are skipped by readers in the manner of Spark, Hive and DuckDB: a
//! reader of the output root sees the visible files and nothing else.
//!
//! [`Object::parse`] is the inverse of [`Object::path`]: it accepts exactly the texts that
//! `path` makes, so that a stray file is never taken for a verdict.

use std::fmt;

use crate::ids::{AttemptId, Generation, Partition, RunId, ShardIndex, SpecName};
use crate::plan::{OutputFormat, Planned};
use crate::report::telling::Channel;

/// Directory of everything that is not a visible output file.
const PRIVATE: &str = "_nightshift";
/// Layout version; another version may live beside it.
const VERSION: &str = "v1";
/// Digits of a shard index in private paths, so that a listing sorts in shard order for every
/// plan that is allowed ([`crate::plan::SHARDS_MAX`] has seven digits).
const INDEX_WIDTH: usize = 7;
/// Fewest digits of a shard index in visible names, as Spark and MapReduce write them.
const PART_WIDTH_MIN: usize = 5;

/// One object under the output root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Object {
    /// Identity of the output root.
    Root,
    /// Who alone decides in the output root, where the store cannot.
    Holder,
    /// Who claimed a generation of a partition.
    Claim {
        /// The date, or `all`.
        partition: Partition,
        /// The generation claimed.
        generation: Generation,
    },
    /// The plan of a run.
    Plan {
        /// The run.
        run: RunId,
    },
    /// A coordinator incarnation that took a run over.
    Epoch {
        /// The run.
        run: RunId,
        /// Number of the epoch.
        number: u64,
    },
    /// The verdict of a shard: the commit point.
    Record {
        /// The run.
        run: RunId,
        /// The shard.
        shard: ShardIndex,
    },
    /// The verdict of a run.
    Final {
        /// The date, or `all`.
        partition: Partition,
        /// The generation decided.
        generation: Generation,
    },
    /// What a person decided about a run whose output was withheld.
    Approval {
        /// The date, or `all`.
        partition: Partition,
        /// The generation decided about.
        generation: Generation,
    },
    /// The decision that a generation's data goes.
    Removal {
        /// The date, or `all`.
        partition: Partition,
        /// The generation whose data goes.
        generation: Generation,
    },
    /// A file that an attempt wrote before its record decides.
    Staged {
        /// The run.
        run: RunId,
        /// The shard.
        shard: ShardIndex,
        /// The attempt that owns the file.
        attempt: AttemptId,
        /// Which of its files.
        file: StagedName,
    },
    /// A try to tell others of a run.
    Try {
        /// The run.
        run: RunId,
        /// What is told to whom.
        channel: Channel,
        /// Number of the try, from 1.
        number: u32,
    },
    /// The mark that others were told of a run.
    Told {
        /// The run.
        run: RunId,
        /// What was told to whom.
        channel: Channel,
    },
    /// An output root that a coordinator serves; under the coordinator's home.
    Served {
        /// Name of the spec whose output it is.
        name: SpecName,
    },
    /// A visible output file.
    Part {
        /// The date, or `all`.
        partition: Partition,
        /// The generation.
        generation: Generation,
        /// The shard.
        shard: ShardIndex,
        /// Number of shards in the plan, more than the shard's index.
        shards: u32,
        /// Format, which gives the extension.
        format: OutputFormat,
    },
    /// A visible rejects file, beside the part.
    Rejects {
        /// The date, or `all`.
        partition: Partition,
        /// The generation.
        generation: Generation,
        /// The shard.
        shard: ShardIndex,
        /// Number of shards in the plan, more than the shard's index.
        shards: u32,
    },
    /// The marker with the report that is written last.
    Success {
        /// The date, or `all`.
        partition: Partition,
        /// The generation.
        generation: Generation,
    },
}

/// The files that one attempt may stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StagedName {
    /// The scored rows.
    Data(OutputFormat),
    /// The rows that could not be scored, one JSON object a line.
    Rejects,
}

/// A directory under the output root that is listed, or that holds one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// Claims of one partition.
    Claims(Partition),
    /// Finals of one partition.
    Finals(Partition),
    /// Removals of one partition.
    Removals(Partition),
    /// Claims of every partition.
    AllClaims,
    /// Finals of every partition.
    AllFinals,
    /// Output roots that a coordinator serves.
    AllServed,
    /// The plan of a run, with its epochs and records below.
    Run(RunId),
    /// Epochs of a run.
    Epochs(RunId),
    /// Tries to tell others of a run.
    Tries(RunId, Channel),
    /// Records of a run.
    Records(RunId),
    /// Staged data of every attempt of a run.
    Attempts(RunId),
    /// Staged data of every attempt of a shard.
    ShardAttempts(RunId, ShardIndex),
    /// Staged data of one attempt.
    Attempt(RunId, ShardIndex, AttemptId),
    /// Visible files of one generation.
    Visible(Partition, Generation),
}

// === impl StagedName ===

impl fmt::Display for StagedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(format) => write!(f, "data.{}", format.extension()),
            Self::Rejects => f.write_str("rejects.jsonl"),
        }
    }
}

impl StagedName {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "rejects.jsonl" => Some(Self::Rejects),
            _ => format_of(name.strip_prefix("data.")?).map(Self::Data),
        }
    }
}

// === impl Prefix ===

impl Prefix {
    /// The directory, relative to the output root, without a slash at either end.
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// Whether every object below lies directly in the directory.
    pub fn is_flat(&self) -> bool {
        !matches!(
            self,
            Self::AllClaims
                | Self::AllFinals
                | Self::Run(_)
                | Self::Attempts(_)
                | Self::ShardAttempts(..)
        )
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = Private;
        match self {
            Self::Claims(partition) => write!(f, "{base}/claims/{partition}"),
            Self::Finals(partition) => write!(f, "{base}/finals/{partition}"),
            Self::Removals(partition) => write!(f, "{base}/removals/{partition}"),
            Self::AllClaims => write!(f, "{base}/claims"),
            Self::AllFinals => write!(f, "{base}/finals"),
            Self::AllServed => write!(f, "{base}/served"),
            Self::Run(run) => write!(f, "{base}/runs/{run}"),
            Self::Epochs(run) => write!(f, "{base}/runs/{run}/epoch"),
            Self::Tries(run, channel) => write!(f, "{base}/runs/{run}/tries/{channel}"),
            Self::Records(run) => write!(f, "{base}/runs/{run}/records"),
            Self::Attempts(run) => write!(f, "{base}/attempts/{run}"),
            Self::ShardAttempts(run, ShardIndex(shard)) => {
                write!(f, "{base}/attempts/{run}/{shard:0INDEX_WIDTH$}")
            }
            Self::Attempt(run, ShardIndex(shard), attempt) => {
                write!(f, "{base}/attempts/{run}/{shard:0INDEX_WIDTH$}/{attempt}")
            }
            Self::Visible(partition, generation) => visible(f, *partition, *generation),
        }
    }
}

// === impl Object ===

impl Object {
    /// The visible output file of a planned shard.
    pub fn part(plan: &impl Planned, shard: ShardIndex) -> Self {
        let RunId { partition, generation, .. } = *plan.run();
        Self::Part {
            partition,
            generation,
            shard,
            shards: plan.shard_count(),
            format: plan.task().output_format,
        }
    }

    /// The visible rejects file of a planned shard.
    pub fn rejects(plan: &impl Planned, shard: ShardIndex) -> Self {
        let RunId { partition, generation, .. } = *plan.run();
        Self::Rejects { partition, generation, shard, shards: plan.shard_count() }
    }

    /// The path relative to the output root, without a leading slash.
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// The object that has this path; none for any text that [`Object::path`] never makes.
    pub fn parse(path: &str) -> Option<Self> {
        let object = match path.strip_prefix(PRIVATE) {
            Some(rest) => parse_private(rest.strip_prefix('/')?.strip_prefix(VERSION)?)?,
            None => parse_visible(path)?,
        };
        // One spelling for one object: padding, signs and extra zeros do not come back.
        (object.path() == path).then_some(object)
    }

    /// Whether this is one of the files that people read.
    pub fn is_visible(&self) -> bool {
        matches!(self, Self::Part { .. } | Self::Rejects { .. } | Self::Success { .. })
    }

    /// The shard that the object belongs to, if it belongs to one.
    pub fn shard(&self) -> Option<ShardIndex> {
        match self {
            Self::Record { shard, .. }
            | Self::Staged { shard, .. }
            | Self::Part { shard, .. }
            | Self::Rejects { shard, .. } => Some(*shard),
            _ => None,
        }
    }

    /// The generation of a claim, a final, an approval, a removal or a visible file.
    pub fn generation(&self) -> Option<Generation> {
        match self {
            Self::Claim { generation, .. }
            | Self::Final { generation, .. }
            | Self::Approval { generation, .. }
            | Self::Removal { generation, .. }
            | Self::Part { generation, .. }
            | Self::Rejects { generation, .. }
            | Self::Success { generation, .. } => Some(*generation),
            _ => None,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = Private;
        match self {
            Self::Root => write!(f, "{base}/root.json"),
            Self::Holder => write!(f, "{base}/holder.json"),
            Self::Claim { partition, generation } => {
                write!(f, "{base}/claims/{partition}/{generation}.json")
            }
            Self::Plan { run } => write!(f, "{base}/runs/{run}/plan.json"),
            Self::Epoch { run, number } => write!(f, "{base}/runs/{run}/epoch/{number}.json"),
            Self::Try { run, channel, number } => {
                write!(f, "{base}/runs/{run}/tries/{channel}/{number}.json")
            }
            Self::Told { run, channel } => write!(f, "{base}/runs/{run}/told/{channel}.json"),
            Self::Record { run, shard: ShardIndex(shard) } => {
                write!(f, "{base}/runs/{run}/records/{shard:0INDEX_WIDTH$}.json")
            }
            Self::Final { partition, generation } => {
                write!(f, "{base}/finals/{partition}/{generation}.json")
            }
            Self::Approval { partition, generation } => {
                write!(f, "{base}/approvals/{partition}/{generation}.json")
            }
            Self::Removal { partition, generation } => {
                write!(f, "{base}/removals/{partition}/{generation}.json")
            }
            Self::Staged { run, shard: ShardIndex(shard), attempt, file } => {
                write!(f, "{base}/attempts/{run}/{shard:0INDEX_WIDTH$}/{attempt}/{file}")
            }
            Self::Served { name } => write!(f, "{base}/served/{name}.json"),
            Self::Part { partition, generation, shard: ShardIndex(shard), shards, format } => {
                let width = part_width(*shards);
                visible(f, *partition, *generation)?;
                write!(f, "/part-{shard:0width$}-of-{shards:0width$}.{}", format.extension())
            }
            Self::Rejects { partition, generation, shard: ShardIndex(shard), shards } => {
                let width = part_width(*shards);
                visible(f, *partition, *generation)?;
                write!(f, "/rejects-{shard:0width$}-of-{shards:0width$}.jsonl")
            }
            Self::Success { partition, generation } => {
                visible(f, *partition, *generation)?;
                f.write_str("/_SUCCESS")
            }
        }
    }
}

/// Writes `_nightshift/v1`.
struct Private;

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PRIVATE}/{VERSION}")
    }
}

/// The private directory, relative to the output root: what a fresh root has to contain.
pub fn private_directory() -> String {
    Private.to_string()
}

/// Begins the name of a directory for the check that a store keeps its promises.
const PROBE: &str = "probe-";

/// A directory for the check that a store keeps its promises, relative to the output root;
/// `token` makes it the caller's own.
pub fn probe_directory(token: &AttemptId) -> String {
    format!("{Private}/{PROBE}{token}")
}

/// Whether an entry of the private directory is what [`probe_directory`] makes.
pub fn is_probe_directory(name: &str) -> bool {
    name.strip_prefix(PROBE).is_some_and(|token| token.parse::<AttemptId>().is_ok())
}

/// Whether `path`, relative to the output root, is a temporary name of an object: what a process
/// writes to before it creates a document, and leaves behind when it is killed.
pub fn is_temporary(path: &str) -> bool {
    path.rsplit_once('#').is_some_and(|(object, number)| {
        !number.is_empty()
            && number.bytes().all(|c| c.is_ascii_digit())
            && Object::parse(object).is_some()
    })
}

/// Writes `date=<date>/gen=<n>`, or `all/gen=<n>`.
fn visible(
    f: &mut fmt::Formatter<'_>,
    partition: Partition,
    generation: Generation,
) -> fmt::Result {
    match partition {
        Partition::All => write!(f, "all/gen={}", generation.get()),
        Partition::Date(date) => write!(f, "date={date}/gen={}", generation.get()),
    }
}

/// Digits of shard numbers in visible names: enough for the count, so that a listing sorts.
fn part_width(shards: u32) -> usize {
    let digits = shards.checked_ilog10().map_or(1, |log| log as usize + 1);
    digits.max(PART_WIDTH_MIN)
}

fn parse_private(rest: &str) -> Option<Object> {
    // `rest` starts with the slash after the version, so the first segment is empty.
    let segments: Vec<&str> = rest.splitn(SEGMENTS_MAX, '/').collect();
    Some(match *segments.as_slice() {
        ["", "root.json"] => Object::Root,
        ["", "holder.json"] => Object::Holder,
        ["", "claims", partition, file] => Object::Claim {
            partition: partition.parse().ok()?,
            generation: file.strip_suffix(".json")?.parse().ok()?,
        },
        ["", "finals", partition, file] => Object::Final {
            partition: partition.parse().ok()?,
            generation: file.strip_suffix(".json")?.parse().ok()?,
        },
        ["", "approvals", partition, file] => Object::Approval {
            partition: partition.parse().ok()?,
            generation: file.strip_suffix(".json")?.parse().ok()?,
        },
        ["", "removals", partition, file] => Object::Removal {
            partition: partition.parse().ok()?,
            generation: file.strip_suffix(".json")?.parse().ok()?,
        },
        ["", "served", file] => Object::Served { name: file.strip_suffix(".json")?.parse().ok()? },
        ["", "runs", run, "plan.json"] => Object::Plan { run: run.parse().ok()? },
        ["", "runs", run, "epoch", file] => Object::Epoch {
            run: run.parse().ok()?,
            number: file.strip_suffix(".json")?.parse().ok()?,
        },
        ["", "runs", run, "tries", channel, file] => Object::Try {
            run: run.parse().ok()?,
            channel: Channel::parse(channel)?,
            number: file.strip_suffix(".json")?.parse().ok()?,
        },
        ["", "runs", run, "told", file] => Object::Told {
            run: run.parse().ok()?,
            channel: Channel::parse(file.strip_suffix(".json")?)?,
        },
        ["", "runs", run, "records", file] => Object::Record {
            run: run.parse().ok()?,
            shard: ShardIndex(file.strip_suffix(".json")?.parse().ok()?),
        },
        ["", "attempts", run, shard, attempt, file] => Object::Staged {
            run: run.parse().ok()?,
            shard: ShardIndex(shard.parse().ok()?),
            attempt: attempt.parse().ok()?,
            file: StagedName::parse(file)?,
        },
        _ => return None,
    })
}

/// More segments than any object has, so that a hostile path costs no more than a real one.
const SEGMENTS_MAX: usize = 8;

fn parse_visible(path: &str) -> Option<Object> {
    let (partition, rest) = path.split_once('/')?;
    let (generation, file) = rest.split_once('/')?;
    let partition = match partition.strip_prefix("date=") {
        Some(date) => Partition::Date(date.parse().ok()?),
        None if partition == "all" => Partition::All,
        None => return None,
    };
    let generation = Generation::new(generation.strip_prefix("gen=")?.parse().ok()?)?;
    if file == "_SUCCESS" {
        return Some(Object::Success { partition, generation });
    }
    let (stem, extension) = file.split_once('.')?;
    let (kind, numbers) = stem.split_once('-')?;
    let (shard, shards) = numbers.split_once("-of-")?;
    let shard = ShardIndex(shard.parse().ok()?);
    let shards = shards.parse().ok()?;
    Some(match kind {
        "part" => {
            let format = format_of(extension)?;
            Object::Part { partition, generation, shard, shards, format }
        }
        "rejects" => Object::Rejects { partition, generation, shard, shards },
        _ => return None,
    })
}

fn format_of(extension: &str) -> Option<OutputFormat> {
    [OutputFormat::Parquet, OutputFormat::Jsonl, OutputFormat::Csv]
        .into_iter()
        .find(|format| format.extension() == extension)
}

#[cfg(test)]
mod tests;
