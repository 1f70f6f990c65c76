//! The container that hands in the pod's last numbers.

use serde_json::{Value, json};

use super::worker::set_variable;
use super::{InvalidOrder, JobOrder};

/// What it is called in the job template.
const NAME: &str = "sidecar";
const ENV: &str = "spec.template.spec.initContainers[sidecar].env";

/// Tells it which coordinator gets the numbers, and of which run and pod they are. A pod without a
/// container of that name hands nothing in.
pub(super) fn tell(pod: &mut Value, order: &JobOrder<'_>) -> Result<(), InvalidOrder> {
    for section in ["/spec/initContainers", "/spec/containers"] {
        let containers = pod.pointer_mut(section).and_then(Value::as_array_mut);
        let containers = containers.into_iter().flatten();
        for sidecar in containers.filter(|container| container["name"] == NAME) {
            let run = order.run.to_string();
            set_variable(
                sidecar,
                ENV,
                "NIGHTSHIFT_COORDINATOR",
                &json!({ "value": order.coordinator_url }),
            )?;
            set_variable(sidecar, ENV, "NIGHTSHIFT_RUN", &json!({ "value": run }))?;
            let from = json!({ "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } });
            set_variable(sidecar, ENV, "POD_NAME", &from)?;
        }
    }
    Ok(())
}
