//! The rule of the election.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;

use super::LEASE;

/// What is on a Lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Who holds it; empty if nobody does.
    pub holder: String,
    /// How long it lasts without a change.
    pub lasts: Duration,
    /// Anything that changes with each renewal.
    pub version: String,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is none: make one that is ours.
    Create,
    /// It is ours: say so again.
    Renew,
    /// It is nobody's, or its holder is silent: make it ours.
    Take,
    /// It is another's.
    Wait,
}

impl Seen {
    /// What `lease` says.
    pub fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            holder: spec.holder_identity.unwrap_or_default(),
            lasts: lasts.map_or(LEASE, Duration::from_secs),
            version: lease.metadata.resource_version.clone().unwrap_or_default(),
        }
    }
}

/// What `me` does about a Lease that has been as it is for `unchanged`.
pub fn decide(seen: Option<&Seen>, unchanged: Duration, me: &str) -> Step {
    match seen {
        None => Step::Create,
        Some(seen) if seen.holder == me => Step::Renew,
        Some(seen) if seen.holder.is_empty() || unchanged > seen.lasts => Step::Take,
        Some(_) => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holder: &str) -> Seen {
        Seen { holder: holder.to_owned(), lasts: LEASE, version: "1".to_owned() }
    }

    #[test]
    fn one_leads_until_it_is_silent() {
        let (short, long) = (Duration::from_secs(14), Duration::from_secs(16));
        assert_eq!(decide(None, short, "a"), Step::Create);
        assert_eq!(decide(Some(&held("a")), long, "a"), Step::Renew);
        assert_eq!(decide(Some(&held("b")), short, "a"), Step::Wait);
        assert_eq!(decide(Some(&held("b")), LEASE, "a"), Step::Wait);
        assert_eq!(decide(Some(&held("b")), long, "a"), Step::Take);
        assert_eq!(decide(Some(&held("")), Duration::ZERO, "a"), Step::Take, "it was released");
    }

    #[test]
    fn a_lease_without_words_is_nobodys() {
        let seen = Seen::of(&Lease::default());
        assert_eq!((seen.holder.as_str(), seen.lasts), ("", LEASE));
    }
}
