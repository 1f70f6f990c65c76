//! OpenLineage events (<https://openlineage.io/spec/2-0-2/OpenLineage.json>): which data a run
//! has read, which it has written, and how it ended.
//!
//! Events follow from plan and final alone, times included: whoever makes one, and however
//! often, it is the same. A run that ended `partial` is a `FAIL`, because data is missing that
//! others wait for.

use jiff::civil::Time;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{InputSummary, Report};
use crate::conclusion::FinalState;
use crate::ids::{Partition, RunId};
use crate::layout::Prefix;
use crate::place::{BucketPlace, Place};
use crate::plan::{Lineage, Planned, Reporting};
use crate::record::MESSAGE_MAX_CHARS;
use crate::root::RootId;

/// Where schemas are published.
const SCHEMAS: &str = "https://openlineage.io/spec";
/// Steps of a path that name a part of a data set, as its date, and not the data set.
const PARTIAL: [char; 4] = ['*', '?', '[', '='];

/// Makes the events of one run.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a> {
    /// The output root, which keeps runs of the same name apart.
    pub root: &'a RootId,
    /// What the plan says about telling.
    pub reporting: &'a Reporting,
    /// The part of it that is about lineage.
    pub lineage: &'a Lineage,
}

impl Events<'_> {
    /// The run has begun.
    pub fn start(&self, plan: &impl Planned) -> Value {
        let run = plan.run();
        let input = self.input(run, &plan.input());
        self.event("START", run, plan.planned_at(), plan.planned_at(), Map::new(), input, None)
    }

    /// The run has its verdict.
    pub fn end(&self, report: &Report) -> Value {
        let verdict = &report.verdict;
        let mut facets = Map::new();
        if verdict.state != FinalState::Succeeded {
            let error = json!({ "message": message(report), "programmingLanguage": "Rust" });
            facets.insert("errorMessage".into(), facet("1-0-1", "ErrorMessageRunFacet", error));
        }
        let kind = match verdict.state {
            FinalState::Succeeded => "COMPLETE",
            FinalState::Partial | FinalState::Failed => "FAIL",
        };
        let input = self.input(&verdict.run, &report.input);
        let (begun, at) = (verdict.planned_at, verdict.decided_at);
        self.event(kind, &verdict.run, begun, at, facets, input, Some(report))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one document, used twice above")]
    fn event(
        &self,
        kind: &str,
        run: &RunId,
        begun: jiff::Timestamp,
        at: jiff::Timestamp,
        mut facets: Map<String, Value>,
        input: Value,
        ended: Option<&Report>,
    ) -> Value {
        let engine = json!({
            "name": "nightshift",
            "version": env!("CARGO_PKG_VERSION"),
            "openlineageAdapterVersion": env!("CARGO_PKG_VERSION"),
        });
        facets
            .insert("processing_engine".into(), facet("1-1-1", "ProcessingEngineRunFacet", engine));
        if let Some(nominal) = nominal_time(run.partition) {
            facets.insert("nominalTime".into(), nominal);
        }
        let job_type = json!({
            "processingType": "BATCH", "integration": "NIGHTSHIFT", "jobType": "JOB",
        });
        json!({
            "eventType": kind,
            "eventTime": at,
            "producer": producer(),
            "schemaURL": format!("{SCHEMAS}/2-0-2/OpenLineage.json#/$defs/RunEvent"),
            "run": { "runId": run_uuid(self.root, run, begun), "facets": facets },
            "job": {
                "namespace": self.lineage.namespace,
                "name": run.name,
                "facets": { "jobType": facet("2-0-4", "JobTypeJobFacet", job_type) },
            },
            "inputs": [input],
            "outputs": [self.output(run, ended)],
        })
    }

    fn input(&self, run: &RunId, input: &InputSummary) -> Value {
        let Dataset { namespace, name, source } =
            Dataset::at(&self.reporting.input, Some(run.partition));
        let mut facets = Map::from_iter([("dataSource".to_owned(), source)]);
        if !self.lineage.columns.is_empty() {
            let fields = json!({ "fields": self.lineage.columns });
            facets.insert("schema".into(), facet("1-2-0", "SchemaDatasetFacet", fields));
        }
        let read = json!({ "rowCount": input.rows, "size": input.bytes, "fileCount": input.files });
        json!({
            "namespace": namespace,
            "name": name,
            "facets": facets,
            "inputFacets": {
                "inputStatistics": facet("1-0-0", "InputStatisticsInputDatasetFacet", read),
            },
        })
    }

    fn output(&self, run: &RunId, ended: Option<&Report>) -> Value {
        let Dataset { namespace, name, source } = Dataset::at(&self.reporting.output, None);
        let visible = Prefix::Visible(run.partition, run.generation).path();
        let version = json!({ "datasetVersion": visible });
        let mut output = json!({
            "namespace": namespace,
            "name": name,
            "facets": {
                "dataSource": source,
                "version": facet("1-0-1", "DatasetVersionDatasetFacet", version),
            },
        });
        if let Some(report) = ended {
            let totals = &report.verdict.totals;
            let written = json!({
                "rowCount": totals.rows_out,
                "size": totals.output_bytes,
                "fileCount": totals.committed,
            });
            output["outputFacets"] = json!({
                "outputStatistics": facet("1-0-2", "OutputStatisticsOutputDatasetFacet", written),
            });
        }
        output
    }
}

/// Who makes the events.
fn producer() -> String {
    format!("{}/tree/v{}", env!("CARGO_PKG_REPOSITORY"), env!("CARGO_PKG_VERSION"))
}

/// A facet: its fields, and what every facet has.
fn facet(version: &str, name: &str, fields: Value) -> Value {
    let mut facet = json!({
        "_producer": producer(),
        "_schemaURL": format!("{SCHEMAS}/facets/{version}/{name}.json#/$defs/{name}"),
    });
    if let (Value::Object(facet), Value::Object(mut fields)) = (&mut facet, fields) {
        facet.append(&mut fields);
    }
    facet
}

/// Data as OpenLineage names it: the store, and what it is called there. Files are of the
/// namespace `file` and have an absolute path; objects are of `s3://bucket`, and so on, and have
/// a key.
struct Dataset {
    namespace: String,
    name: String,
    /// The facet `dataSource`.
    source: Value,
}

impl Dataset {
    /// The data at `place`; of an input, what is before any part that is of one date alone.
    fn at(place: &str, date_of: Option<Partition>) -> Self {
        let steps = |path: &str| match date_of {
            Some(partition) => whole_steps(path, partition),
            None => path.to_owned(),
        };
        if let Ok(Place::Bucket(BucketPlace { kind, bucket, prefix })) = place.parse() {
            let (namespace, name) = (format!("{}://{bucket}", kind.scheme()), steps(&prefix));
            let uri = format!("{namespace}/{name}");
            return Self { source: data_source(&namespace, Some(uri)), namespace, name };
        }
        let name = match date_of {
            Some(_) => format!("/{}", steps(place)),
            None => place.to_owned(),
        };
        // The base is a constant that parses; without it there is no `uri`, which may be left out.
        let uri = Url::parse("file:///").ok().map(|mut url| {
            url.set_path(&name);
            url.to_string()
        });
        Self { namespace: "file".to_owned(), source: data_source("file", uri), name }
    }
}

fn data_source(name: &str, uri: Option<String>) -> Value {
    facet("1-0-1", "DatasourceDatasetFacet", json!({ "name": name, "uri": uri }))
}

/// The day that a run is about.
fn nominal_time(partition: Partition) -> Option<Value> {
    let Partition::Date(date) = partition else { return None };
    let midnight = |date: jiff::civil::Date| {
        let zoned = date.to_datetime(Time::midnight()).to_zoned(jiff::tz::TimeZone::UTC);
        zoned.ok().map(|zoned| zoned.timestamp().to_string())
    };
    let mut time = json!({ "nominalStartTime": midnight(date)? });
    if let Some(end) = date.tomorrow().ok().and_then(midnight) {
        time["nominalEndTime"] = end.into();
    }
    Some(facet("1-0-1", "NominalTimeRunFacet", time))
}

/// The steps that an input pattern has for every date: those before the first that has a
/// wildcard, a `key=value` or the date in it, so that every date is of the same data set.
fn whole_steps(input: &str, partition: Partition) -> String {
    let date = match partition {
        Partition::All => None,
        Partition::Date(date) => Some(date.to_string()),
    };
    let partial = |step: &str| {
        step.contains(PARTIAL) || date.as_ref().is_some_and(|date| step.contains(date.as_str()))
    };
    let steps = input.split('/').filter(|step| !step.is_empty());
    let kept: Vec<&str> = steps.take_while(|step| !partial(step)).collect();
    kept.join("/")
}

/// Why a run is not complete.
fn message(report: &Report) -> String {
    let verdict = &report.verdict;
    let (given_up, shards) = (verdict.totals.quarantined, verdict.totals.shards);
    let first = match verdict.quarantined.first() {
        Some(first) => {
            format!("; the first is shard {}: {}: {}", first.shard, first.reason, first.message)
        }
        None => String::new(),
    };
    let text = format!("{given_up} of {shards} shards were given up{first}");
    text.chars().take(MESSAGE_MAX_CHARS).collect()
}

/// The run as a UUID of version 7 (RFC 9562, section 5.7): the time of the plan, and in place of
/// randomness the first bits of the SHA-256 of root and run, so that it is the same everywhere.
fn run_uuid(root: &RootId, run: &RunId, begun: jiff::Timestamp) -> String {
    let hash = Sha256::digest(format!("{root}/{run}"));
    let mut bytes = [0_u8; 16];
    let millis = begun.as_millisecond().max(0).to_be_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    bytes[6..].copy_from_slice(&hash[..10]);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests;
