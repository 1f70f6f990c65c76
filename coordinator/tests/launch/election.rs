//! Two replicas and one Lease.

use std::time::Duration;

use nightshift_coordinator::leader::{Election, LEASE, RETRY};
use nightshift_tests::kubernetes::Kubernetes;
use nightshift_tests::kubernetes::faults::{Fault, Seen};

use crate::cluster::{NAMESPACE, client};

const NAME: &str = "nightshift-coordinator";

async fn replica(kubernetes: &Kubernetes, me: &str) -> Election {
    Election::new(client(kubernetes).await, NAMESPACE, NAME, me.to_owned())
}

fn holder(kubernetes: &Kubernetes) -> String {
    let lease = kubernetes.get("leases", NAMESPACE, NAME).unwrap();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

async fn within<T>(time: Duration, what: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, what).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_gives_the_lead_away() {
    let kubernetes = Kubernetes::start();
    let (mut a, mut b) = (replica(&kubernetes, "a").await, replica(&kubernetes, "b").await);
    a.win().await;
    assert_eq!(holder(&kubernetes), "a");
    assert!(within(RETRY * 2, b.win()).await.is_none(), "two lead");
    a.release().await;
    within(RETRY * 3, b.win()).await.expect("the lead was free");
    assert_eq!(holder(&kubernetes), "b");
    // Who has lost it to another sees that.
    within(RETRY * 3, a.hold()).await.expect("another leads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_leader_is_followed_and_a_cut_off_one_gives_up_before() {
    let kubernetes = Kubernetes::start();
    let (mut a, mut b) = (replica(&kubernetes, "a").await, replica(&kubernetes, "b").await);
    a.win().await;
    kubernetes.faults().add(Fault::on("*", "leases", Seen::unavailable()));
    within(LEASE, a.hold()).await.expect("it cannot renew");
    kubernetes.faults().clear();
    // The other begins to count when it first sees the Lease.
    within(LEASE + RETRY * 3, b.win()).await.expect("the leader is silent");
    assert_eq!(holder(&kubernetes), "b");
}
