//! What Events say about a Job without pods, and about pods that cannot begin.

use k8s_openapi::api::core::v1::Event;
use nightshift_core::record::FailureClass;

use super::Explanation;

/// What an Event about a Job or a pod says about workers that do not begin; none for the others.
pub fn event(event: &Event) -> Option<Explanation> {
    let words = event.message.as_deref().unwrap_or("no reason given");
    let about = event.involved_object.name.as_deref().unwrap_or("?");
    match (event.involved_object.kind.as_deref()?, event.reason.as_deref()?) {
        ("Job", "FailedCreate") => Some(denied(about, words)),
        ("Pod", "FailedMount" | "FailedAttachVolume") => {
            let text = format!("pod {about} waits for a volume: {words}");
            Some(Explanation::new("volume", FailureClass::Transient, text))
        }
        ("Pod", "FailedCreatePodSandBox") => {
            let text = format!("pod {about} gets no sandbox on its node: {words}");
            Some(Explanation::new("sandbox", FailureClass::Transient, text))
        }
        _ => None,
    }
}

/// Why the pods of a Job are not made, by the words of whoever refuses them.
pub fn denied(job: &str, words: &str) -> Explanation {
    let (reason, what) = if words.contains("exceeded quota") {
        ("quota", "the quota of the namespace is used up")
    } else if words.contains("violates PodSecurity") {
        (
            "pod_security",
            "Pod Security of the namespace refuses them; correct the job template or spec.workers.podTemplate",
        )
    } else if words.contains("admission webhook") {
        ("admission", "an admission webhook refuses them")
    } else if words.contains("ValidatingAdmissionPolicy") {
        ("admission", "an admission policy refuses them")
    } else if words.contains("serviceaccount") && words.contains("not found") {
        ("service_account", "their ServiceAccount is missing")
    } else if words.contains("is invalid") {
        ("pod_invalid", "they are invalid; correct the job template or spec.workers.podTemplate")
    } else {
        ("pods_refused", "they are refused")
    };
    let text = format!("Job {job} gets no pods, {what}: {words}");
    Explanation::new(reason, FailureClass::Transient, text)
}
