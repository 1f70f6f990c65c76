//! What holds for the pod as a whole: its user and its volumes.

use super::Found;
use crate::lint::object::{Facts, Section, Workload};
use crate::lint::tree::Node;
use crate::lint::{Rule, Severity};

pub(in crate::lint) static ROOT_USER: Rule = Rule {
    id: "root-user",
    severity: Severity::Warning,
    what: "a container that runs, or may run, as root",
    why: "A fault in a model or a library then owns the node's files that the pod can reach.",
    remedy: "Set `runAsNonRoot: true` and a `runAsUser` in the pod's securityContext.",
    fixable: false,
};

pub(in crate::lint) static SHARED_VOLUME: Rule = Rule {
    id: "shared-volume",
    severity: Severity::Warning,
    what: "several pods at a time with a claim (in the same files) that one node or pod may mount",
    why: "Pods on other nodes wait in ContainerCreating until the first ones end.",
    remedy: "Use a ReadWriteMany claim or an object store, or set `parallelism: 1`.",
    fixable: false,
};

pub(super) fn check(workload: &Workload<'_>, facts: &Facts, found: &mut Found) {
    let Some(pod) = workload.pod else { return };
    root_user(pod, workload, found);
    if workload.parallelism() > 1 {
        shared_volume(pod, facts, found);
    }
}

fn root_user(pod: Section<'_>, workload: &Workload<'_>, found: &mut Found) {
    let of_pod = pod.node.get("securityContext");
    for container in &workload.containers {
        let own = container.section.node.get("securityContext");
        // What a container says wins over what the pod says.
        let setting = |key: &str| -> Option<&Node> {
            own.and_then(|own| own.get(key)).or_else(|| of_pod.and_then(|pod| pod.get(key)))
        };
        let name = container.name;
        let user = setting("runAsUser");
        if let Some(root) = user.filter(|user| user.integer() == Some(0)) {
            found.add(&ROOT_USER, root.at, format!("`{name}` runs as user 0"));
        } else if !setting("runAsNonRoot").is_some_and(Node::is_true) && user.is_none() {
            let message = format!("`{name}` may run as root: no `runAsNonRoot: true`");
            found.add(&ROOT_USER, container.section.at, message);
        }
    }
}

fn shared_volume(pod: Section<'_>, facts: &Facts, found: &mut Found) {
    let volumes = pod.node.get("volumes").map(Node::items).unwrap_or_default();
    for claim in volumes.iter().filter_map(|it| it.at_path(&["persistentVolumeClaim", "claimName"]))
    {
        let Some(modes) = claim.text().and_then(|name| facts.claims.get(name)) else { continue };
        let many =
            modes.iter().any(|mode| matches!(mode.as_str(), "ReadWriteMany" | "ReadOnlyMany"));
        if !many && let Some(mode) = modes.first() {
            let name = claim.text().unwrap_or_default();
            let message = format!("several pods mount `{name}`, which is {mode}");
            found.add(&SHARED_VOLUME, claim.at, message);
        }
    }
}
