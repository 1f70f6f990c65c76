//! What goes wrong when a test wants it: whether a request is done, and what its caller sees.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::refused::Refused;
use crate::random::Random;

/// What the caller sees.
#[derive(Debug, Clone)]
pub enum Seen {
    /// A status.
    Refused(Refused),
    /// Nothing, for as long as it waits.
    Silence,
    /// A connection that is closed.
    Reset,
    /// The right answer, late.
    Late(Duration),
    /// A watch that says `410 Gone` in its stream.
    WatchExpired,
}

/// A rule for requests.
#[derive(Debug, Clone)]
pub struct Fault {
    verb: &'static str,
    plural: &'static str,
    name: String,
    happens: bool,
    skip: u64,
    times: u64,
    chance: f64,
    seen: Seen,
}

/// What is to go wrong now.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Whether the request is done.
    pub happens: bool,
    /// What its caller sees.
    pub seen: Seen,
}

/// The rules; those of a test, and those of the controllers, which are clients too.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Rules>>);

#[derive(Debug, Default)]
struct Rules {
    rules: Vec<(Fault, u64)>,
    random: Option<Random>,
    hits: u64,
}

impl Fault {
    /// A rule for a verb, such as `create`, and a resource, such as `jobs`; `*` is any.
    pub fn on(verb: &'static str, plural: &'static str, seen: Seen) -> Self {
        let (name, times, chance) = (String::new(), u64::MAX, 1.0);
        Self { verb, plural, name, happens: false, skip: 0, times, chance, seen }
    }

    /// For objects whose name begins so.
    #[must_use]
    pub fn named(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.name);
        self
    }

    /// The request is done all the same.
    #[must_use]
    pub fn happens(mut self) -> Self {
        self.happens = true;
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Only after so many requests that went well.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Only with this probability, by the seed of [`Faults::seeded`].
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }
}

impl Seen {
    /// `409 Conflict`, as after a write of somebody else.
    pub fn conflict() -> Self {
        let message = "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again";
        Self::Refused(Refused::new(409, "Conflict", message))
    }

    /// `429` with `Retry-After`.
    pub fn too_many_requests(after: Duration) -> Self {
        let message = "too many requests, please try again later";
        let refused = Refused::new(429, "TooManyRequests", message);
        Self::Refused(Refused { retry_after: Some(after), ..refused })
    }

    /// `500`.
    pub fn internal_error() -> Self {
        let message = "Internal error occurred: etcdserver: leader changed";
        Self::Refused(Refused::new(500, "InternalError", message))
    }

    /// `503`.
    pub fn unavailable() -> Self {
        let message = "the server is currently unable to handle the request";
        Self::Refused(Refused::new(503, "ServiceUnavailable", message))
    }

    /// `504`, where etcd was too slow.
    pub fn timeout() -> Self {
        let message = "Timeout: request did not complete within the allotted timeout";
        Self::Refused(Refused::new(504, "Timeout", message))
    }

    /// `401`, for a token that has expired.
    pub fn unauthorized() -> Self {
        Self::Refused(Refused::new(401, "Unauthorized", "Unauthorized"))
    }

    /// `403` without the right to do that.
    pub fn forbidden() -> Self {
        let message = "User \"system:serviceaccount:nightshift:nightshift-coordinator\" cannot do that at the cluster scope";
        Self::Refused(Refused::new(403, "Forbidden", message))
    }

    /// `403` of a quota. Pods made by the Job controller meet it too.
    pub fn exceeded_quota() -> Self {
        let message = "pods is forbidden: exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4";
        Self::Refused(Refused::new(403, "Forbidden", message))
    }

    /// `403` of Pod Security.
    pub fn pod_security() -> Self {
        let message = "pods is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"worker\" must set securityContext.allowPrivilegeEscalation=false)";
        Self::Refused(Refused::new(403, "Forbidden", message))
    }

    /// The denial of an admission webhook.
    pub fn webhook_denial(text: &str) -> Self {
        let message =
            format!("admission webhook \"policy.example.com\" denied the request: {text}");
        Self::Refused(Refused::new(400, "BadRequest", message))
    }
}

impl Faults {
    /// Makes choices from the seed of `test`, which is printed.
    pub fn seeded(&self, test: &str) {
        self.0.lock().unwrap().random = Some(Random::for_test(test));
    }

    /// Adds a rule. Of the rules that fit a request the first one decides.
    pub fn add(&self, fault: Fault) {
        self.0.lock().unwrap().rules.push((fault, 0));
    }

    /// Ends all rules.
    pub fn clear(&self) {
        self.0.lock().unwrap().rules.clear();
    }

    /// How many requests went wrong.
    pub fn hits(&self) -> u64 {
        self.0.lock().unwrap().hits
    }

    /// What is to happen to a request.
    pub fn decide(&self, verb: &str, plural: &str, name: &str) -> Option<Decision> {
        let mut inner = self.0.lock().unwrap();
        let Rules { rules, random, hits } = &mut *inner;
        for (rule, seen) in rules {
            let fits = |wanted: &str, is: &str| wanted == "*" || wanted == is;
            if !fits(rule.verb, verb) || !fits(rule.plural, plural) || !name.starts_with(&rule.name)
            {
                continue;
            }
            *seen += 1;
            if *seen <= rule.skip || rule.times == 0 {
                continue;
            }
            let random = random.get_or_insert_with(Random::from_clock);
            #[expect(clippy::cast_precision_loss, reason = "a million steps are enough")]
            let drawn = random.below(1_000_000) as f64 / 1_000_000.0;
            if drawn >= rule.chance {
                continue;
            }
            rule.times -= 1;
            *hits += 1;
            return Some(Decision { happens: rule.happens, seen: rule.seen.clone() });
        }
        None
    }
}
