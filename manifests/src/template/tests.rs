use super::*;

const TEMPLATE: &str = include_str!("../../../deploy/base/worker-job.yaml");

fn refused(yaml: &str) -> String {
    JobTemplate::parse("job.yaml", yaml).unwrap_err().to_string()
}

/// The committed template with one text in place of another, which must be there.
fn with(old: &str, new: &str) -> String {
    assert!(TEMPLATE.contains(old), "{old}");
    TEMPLATE.replacen(old, new, 1)
}

#[test]
fn the_committed_template_is_taken() {
    let template = JobTemplate::parse("worker-job.yaml", TEMPLATE).unwrap();
    assert_eq!(template.job()["kind"], "Job");
}

#[test]
fn another_kind_is_refused() {
    insta::assert_snapshot!(refused(&with("kind: Job", "kind: CronJob")), @"job.yaml:5:7: kind: `CronJob` is not a Job of batch/v1; write `kind: Job`");
    insta::assert_snapshot!(refused(&with("batch/v1", "batch/v1beta1")), @"job.yaml:4:13: apiVersion: `batch/v1beta1` is not a Job of batch/v1; write `apiVersion: batch/v1`");
}

#[test]
fn pods_that_restart_are_refused() {
    insta::assert_snapshot!(refused(&with("restartPolicy: Never", "restartPolicy: OnFailure")), @"job.yaml:51:22: spec.template.spec.restartPolicy: `OnFailure` hides how workers end; write `restartPolicy: Never`, so that every exit code is seen by the Job");
    insta::assert_snapshot!(refused(&with("restartPolicy: Never", "hostNetwork: false")), @"job.yaml:51:7: spec.template.spec.restartPolicy: the field is missing; write `restartPolicy: Never`, so that every exit code is seen by the Job");
}

#[test]
fn a_template_without_a_worker_is_refused() {
    insta::assert_snapshot!(refused(&with("- name: worker", "- name: main")), @"job.yaml:51:7: spec.template.spec.containers: no container is named `worker`; name the container that runs nightshift-worker `worker`");
}

#[test]
fn fields_that_no_job_has_are_refused() {
    insta::assert_snapshot!(refused(&with("spec:", "status: {}\nspec:")), @"job.yaml:11:1: unknown field `status`, expected one of apiVersion, kind, metadata, spec; write one batch/v1 Job as in deploy/base/worker-job.yaml");
    insta::assert_snapshot!(refused(&with("  template:", "  backofLimit: 3\n  template:")), @"job.yaml:13:3: spec.backofLimit: unknown field of a Job; remove it, or correct its name");
    insta::assert_snapshot!(refused(&with("  template:", "  manualSelector: true\n  template:")), @"job.yaml:13:3: spec.manualSelector: a selector would be shared by the Jobs of all runs; remove it");
}

#[test]
fn what_is_no_job_at_all_is_refused() {
    insta::assert_snapshot!(refused(""), @"job.yaml:1:1: the document ends before a value; write one batch/v1 Job as in deploy/base/worker-job.yaml");
    insta::assert_snapshot!(refused("- a"), @"job.yaml:1:1: expected mapping start; write one batch/v1 Job as in deploy/base/worker-job.yaml");
    insta::assert_snapshot!(refused("apiVersion: batch/v1\nkind: Job\n"), @"job.yaml:2:1: missing field `spec`; write one batch/v1 Job as in deploy/base/worker-job.yaml");
    insta::assert_snapshot!(refused("apiVersion: batch/v1\nkind: Job\nspec: {}\n"), @"job.yaml:3:7: missing field `template`; write one batch/v1 Job as in deploy/base/worker-job.yaml");
    insta::assert_snapshot!(refused(&format!("{TEMPLATE}---\n{TEMPLATE}")), @"job.yaml:146:1: there is a second document after `---`; write one batch/v1 Job as in deploy/base/worker-job.yaml");
    insta::assert_snapshot!(refused(&with("kind: Job", "kind: Job\nkind: Job")), @"job.yaml:6:1: the key `kind` occurs twice; write one batch/v1 Job as in deploy/base/worker-job.yaml");
}

#[test]
fn files_are_laid_over_the_pods() {
    let laid = |yaml: &str| {
        let template = JobTemplate::parse("worker-job.yaml", TEMPLATE).unwrap();
        template.laid_over("queue.yaml", yaml)
    };
    let queue = laid(
        "metadata: { labels: { kueue.x-k8s.io/queue-name: nightshift } }\nspec:\n  containers:\n    \
         - name: worker\n      env: [{ name: A, value: b }]\n",
    )
    .unwrap();
    let pod = &queue.job()["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "nightshift");
    assert_eq!(pod["metadata"]["labels"]["app.kubernetes.io/component"], "worker");
    let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    assert!(env.iter().any(|variable| variable["name"] == "A") && env.len() > 1, "{env:?}");

    let refused = |yaml: &str| laid(yaml).unwrap_err().to_string();
    insta::assert_snapshot!(refused("kind: Job"), @"queue.yaml:1:1: kind: is no field of a pod template; put it below `spec` or `metadata`");
    insta::assert_snapshot!(refused("- a"), @"queue.yaml:1:1: this is no map; write `metadata` or `spec` of a pod");
    insta::assert_snapshot!(refused("spec: { restartPolicy: Always }"), @"queue.yaml:1:1: spec.restartPolicy: can only be `Never`; remove it: a worker that ends is replaced by its Job");
    insta::assert_snapshot!(refused("spec: { containers: [{ name: worker, $patch: delete }] }"), @"queue.yaml:1:1: spec.containers: it takes the container `worker` away; leave it there");
}
