use serde_json::Value;

use super::*;

const FILE: &str = "deploy/samples/flights.yaml";
const SPEC: &str = include_str!("../../../deploy/samples/flights.yaml");
const UNDATED: &str = "\
apiVersion: nightshift.dev/v1
kind: BatchInference
metadata: { name: reviews }
spec:
  input: { uri: /data/reviews/*.parquet, id: [id] }
  model: { uri: /data/models/m }
  task: { kind: tabular }
  output: { uri: /data/out/reviews }
";

fn render_text(pattern: Pattern, text: &str, sets: &[&str]) -> Result<String, RenderError> {
    let spec = Spec::parse(FILE, text).unwrap();
    let pair = |set: &&str| {
        let (key, value) = set.split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    };
    let settings: Vec<_> = sets.iter().map(pair).collect();
    render(&Request {
        pattern,
        file: FILE,
        text,
        spec: &spec,
        settings: &settings,
        job_template: None,
    })
}

fn rendered(pattern: Pattern, sets: &[&str]) -> Result<String, RenderError> {
    render_text(pattern, SPEC, sets)
}

fn parsed(text: &str) -> Vec<Value> {
    let options = || serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let parse = |text: &str| serde_saphyr::from_str_with_options(text, options()).unwrap();
    // Only documents begin at the first column.
    text.split("\n---\n").map(parse).collect()
}

/// Every pattern with what it needs, and the variants.
const VARIANTS: [(&str, Pattern, &[&str]); 7] = [
    ("01-job", Pattern::Job, &["date=2013-01-01"]),
    ("02-cronjob", Pattern::CronJob, &[]),
    ("02-cronjob-strict", Pattern::CronJob, &["name=flights-strict", "variant=strict"]),
    ("03-indexed", Pattern::Indexed, &["date=2013-01-02"]),
    ("04-backfill", Pattern::Backfill, &[]),
    (
        "04-backfill-coordinator",
        Pattern::Backfill,
        &["name=flights-backfill-via", "via=coordinator"],
    ),
    ("06-coordinator", Pattern::Coordinator, &["date=2013-01-03"]),
];

#[test]
fn a_large_table_has_as_many_shards_as_it_is_told() {
    let documents =
        parsed(&rendered(Pattern::Indexed, &["date=2013-01-02", "completions=200"]).unwrap());
    assert_eq!(documents[1]["spec"]["completions"], 200);
    let pod = &documents[1]["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["args"][3], "200");
}

#[test]
fn the_spec_travels_as_it_is() {
    for pattern in Pattern::ALL.into_iter().filter(|pattern| *pattern != Pattern::Coordinator) {
        let dates: &[&str] = match pattern {
            Pattern::Job | Pattern::Indexed => &["date=2013-01-31"],
            _ => &[],
        };
        let documents = parsed(&rendered(pattern, dates).unwrap());
        assert_eq!(documents.len(), 2, "{pattern:?}");
        assert_eq!(documents[0]["data"]["spec.yaml"], SPEC, "{pattern:?}");
    }
}

/// The pod spec of a document that has one.
fn pod(document: &Value) -> &Value {
    let job = match document["kind"].as_str() {
        Some("CronJob") => &document["spec"]["jobTemplate"],
        _ => document,
    };
    &job["spec"]["template"]["spec"]
}

#[test]
fn every_pod_is_restricted_and_limited() {
    for (name, pattern, sets) in VARIANTS {
        let documents = parsed(&rendered(pattern, sets).unwrap());
        let pod = pod(documents.last().unwrap());
        assert_eq!(pod["restartPolicy"], "Never", "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        for container in pod["containers"].as_array().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
            assert!(container["resources"]["requests"]["memory"].is_string(), "{name}");
        }
    }
}

#[test]
fn a_spec_without_dates_has_no_date_in_its_arguments() {
    for pattern in Pattern::ALL {
        let text = render_text(pattern, UNDATED, &[]).unwrap();
        assert!(!text.contains("--date"), "{text}");
    }
}

#[test]
fn resources_are_the_specs_or_the_settings() {
    let resources = |text: &str, sets: &[&str]| {
        let documents = parsed(&render_text(Pattern::CronJob, text, sets).unwrap());
        pod(&documents[1])["containers"][0]["resources"].to_string()
    };
    let limited =
        format!("{UNDATED}  workers: {{ resources: {{ limits: {{ memory: 256Mi, gpu: 1 }} }} }}\n");
    insta::assert_snapshot!(resources(UNDATED, &[]), @r#"{"limits":{"memory":"1Gi"},"requests":{"cpu":"1","memory":"512Mi"}}"#);
    insta::assert_snapshot!(resources(&limited, &[]), @r#"{"limits":{"gpu":1,"memory":"256Mi"},"requests":{"cpu":"1","memory":"256Mi"}}"#);
    insta::assert_snapshot!(resources(&limited, &["memory=2Gi", "cpu=3"]), @r#"{"limits":{"gpu":1,"memory":"2Gi"},"requests":{"cpu":"3","memory":"2Gi"}}"#);
}

#[test]
fn pods_that_score_on_a_gpu_get_one() {
    let text = UNDATED
        .replace("uri: /data/models/m", "uri: /data/models/m, device: cuda")
        .replace("{ kind: tabular }", "{ kind: embed, text: body }");
    let limits = |pattern: Pattern, text: &str, sets: &[&str]| {
        let documents = parsed(&render_text(pattern, text, sets).unwrap());
        let containers = pod(documents.last().unwrap())["containers"].clone();
        let scores = |it: &&Value| it["name"] == "worker" || it["name"] == "nightshift";
        let container = containers.as_array().unwrap().iter().find(scores).unwrap();
        container["resources"]["limits"].to_string()
    };
    for pattern in Pattern::ALL {
        let limits = limits(pattern, &text, &[]);
        assert_eq!(limits, r#"{"memory":"1Gi","nvidia.com/gpu":1}"#, "{pattern:?}");
    }
    // This pod hands the dates to a coordinator.
    let via = limits(Pattern::Backfill, &text, &["via=coordinator"]);
    assert_eq!(via, r#"{"memory":"1Gi"}"#);
    let own = format!("{text}  workers: {{ resources: {{ limits: {{ nvidia.com/gpu: 2 }} }} }}\n");
    assert_eq!(limits(Pattern::Job, &own, &[]), r#"{"memory":"1Gi","nvidia.com/gpu":2}"#);
}

#[test]
fn pods_send_to_the_collector_that_is_named() {
    let collector = "http://otel-collector.observability:4317";
    let set = format!("collector={collector}");
    for (name, pattern, sets) in VARIANTS {
        if pattern == Pattern::Coordinator {
            // It makes no pods; its coordinator has an endpoint of its own.
            continue;
        }
        let endpoint = |sets: &[&str]| {
            let documents = parsed(&rendered(pattern, sets).unwrap());
            let env = pod(documents.last().unwrap())["containers"][0]["env"].clone();
            let env = env.as_array().unwrap().clone();
            env.into_iter().find(|variable| variable["name"] == "OTEL_EXPORTER_OTLP_ENDPOINT")
        };
        assert_eq!(endpoint(sets), None, "{name}");
        let sets: Vec<&str> = sets.iter().copied().chain([&*set]).collect();
        assert_eq!(endpoint(&sets).unwrap()["value"], collector, "{name}");
    }
}

#[test]
fn long_names_are_cut_to_what_each_kind_takes() {
    let text = UNDATED.replace("reviews }", &format!("{} }}", "a".repeat(45)));
    for (pattern, max) in [
        (Pattern::Job, 63),
        (Pattern::CronJob, 52),
        (Pattern::Indexed, 60),
        (Pattern::Backfill, 52),
    ] {
        let name =
            parsed(&render_text(pattern, &text, &[]).unwrap())[1]["metadata"]["name"].clone();
        assert!(name.as_str().unwrap().len() <= max, "{pattern:?} {name}");
    }
}

#[test]
fn the_command_can_be_typed_again() {
    let text = rendered(Pattern::CronJob, &["schedule=30 3 * * *", "memory=1Gi"]).unwrap();
    let line = "# Made by: nightshift render cronjob deploy/samples/flights.yaml \
                --set 'schedule=30 3 * * *' --set memory=1Gi\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn retries_of_shards_count_for_each_or_for_all() {
    let spec = |sets: &[&str]| {
        let mut all = vec!["date=2013-01-02"];
        all.extend(sets);
        parsed(&rendered(Pattern::Indexed, &all).unwrap())[1]["spec"].clone()
    };
    assert_eq!(spec(&[])["backoffLimitPerIndex"], 2);
    assert_eq!(spec(&[])["backoffLimit"], Value::Null);
    let job = spec(&["backoff=job"]);
    assert_eq!((&job["backoffLimit"], &job["backoffLimitPerIndex"]), (&2.into(), &Value::Null));
    // FailIndex is refused by Kubernetes without backoffLimitPerIndex.
    assert!(!job["podFailurePolicy"].to_string().contains("FailIndex"), "{job}");
}

#[test]
fn what_cannot_be_is_refused_with_the_remedy() {
    let refused = |pattern, sets: &[&str]| rendered(pattern, sets).unwrap_err().to_string();
    insta::assert_snapshot!(refused(Pattern::CronJob, &["shedule=x"]), @"--set shedule: `cronjob` has no such key; did you mean `schedule`? use one of name, namespace, image, input, output, model-version, claim, service-account, cpu, memory, collector, retries, deadline, ttl, schedule, timezone, starting-deadline, variant");
    insta::assert_snapshot!(refused(Pattern::Coordinator, &["parallelism=4"]), @"--set parallelism: `coordinator` has no such key; use one of namespace, image, date, coordinator, generation");
    insta::assert_snapshot!(refused(Pattern::Job, &[]), @"the spec's input has {date}, so a date is needed: add --set date=2013-01-31");
    insta::assert_snapshot!(refused(Pattern::Job, &["date=yesterday"]), @"--set date=yesterday: write a date such as 2013-01-31");
    insta::assert_snapshot!(refused(Pattern::Indexed, &["date=2013-01-02", "completions=0"]), @"--set completions=0: write a number from 1 to 100000");
    insta::assert_snapshot!(refused(Pattern::CronJob, &["variant=loose"]), @"--set variant=loose: write default or strict");
    insta::assert_snapshot!(refused(Pattern::CronJob, &["output=/tmp/out"]), @"--set output=/tmp/out: name a path below /data");
    insta::assert_snapshot!(refused(Pattern::CronJob, &["output=/data/{day}"]), @"--set output=/data/{day}: `{day}` is not a placeholder; use {date}, {name} or {model_version}");
    insta::assert_snapshot!(refused(Pattern::CronJob, &["name=Nightly"]), @"--set name=Nightly: use at most 52 lower-case letters, digits and `-`");
    insta::assert_snapshot!(refused(Pattern::CronJob, &["image="]), @"--set image=: write one line of text");
    insta::assert_snapshot!(refused(Pattern::CronJob, &["collector=otel:4317"]), @"--set collector=otel:4317: write an address as in http://collector:4317");
    let text = UNDATED.replace("/data/out/reviews", "out");
    let error = render_text(Pattern::Job, &text, &[]).unwrap_err();
    insta::assert_snapshot!(error, @"deploy/samples/flights.yaml: spec.output.uri: `out` is not on the volume of the pods; name a path below /data, as in --set output=/data/…");
    let error = render_text(Pattern::Job, UNDATED, &["date=2013-01-31"]).unwrap_err();
    insta::assert_snapshot!(error, @"--set date=2013-01-31: the spec's input has no {date}; remove it, or put {date} into spec.input.uri");
}
