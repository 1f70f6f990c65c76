//! The resources that the double has.

/// A resource of an API group.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Name in paths.
    pub plural: &'static str,
    /// Name in objects.
    pub kind: &'static str,
    /// Short names that `kubectl` knows.
    pub short: &'static [&'static str],
    /// Whether it lives in namespaces.
    pub namespaced: bool,
    /// Whether it has a `status` of its own.
    pub status: bool,
}

/// All of them. The two kinds of events are one set of objects.
pub static RESOURCES: [Resource; 10] = [
    resource("", "namespaces", "Namespace", &["ns"], false, true),
    resource("", "pods", "Pod", &["po"], true, true),
    resource("", "configmaps", "ConfigMap", &["cm"], true, false),
    resource("", "secrets", "Secret", &[], true, false),
    resource("", "events", "Event", &["ev"], true, false),
    resource("", "serviceaccounts", "ServiceAccount", &["sa"], true, false),
    resource("batch", "jobs", "Job", &[], true, true),
    resource("batch", "cronjobs", "CronJob", &["cj"], true, true),
    resource("coordination.k8s.io", "leases", "Lease", &[], true, false),
    resource("events.k8s.io", "events", "Event", &["ev"], true, false),
];

/// The groups beside the core group.
pub const GROUPS: [&str; 3] = ["batch", "coordination.k8s.io", "events.k8s.io"];

const fn resource(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    status: bool,
) -> Resource {
    Resource { group, plural, kind, short, namespaced, status }
}

impl Resource {
    /// The resource at a place of the API.
    pub fn find(group: &str, plural: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|known| known.group == group && known.plural == plural)
    }

    /// The resource with this name in paths, whatever its group.
    pub fn named(plural: &str) -> &'static Self {
        RESOURCES
            .iter()
            .find(|known| known.plural == plural)
            .unwrap_or_else(|| panic!("the double has no resource called {plural}"))
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group) }
    }

    /// How messages name it, such as `jobs.batch`.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// How messages name its kind, such as `Job.batch`.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() {
            self.kind.to_owned()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }
}
