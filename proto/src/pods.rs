//! Messages of `Pods`: the last numbers of a pod, before it is gone.

use nightshift_core::ids::{InvalidId, RunId};

use crate::field::{self, InvalidList, InvalidText, OutOfRange, invalid_message};
use crate::limits::{LABEL_MAX_BYTES, POD_SAMPLES_MAX};
use crate::names::{PodName, SampleName, SnapshotId};
use crate::wire;

/// The last numbers of a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct HandIn {
    /// The snapshot; the same one counts once.
    pub snapshot: SnapshotId,
    /// The run that the pod worked on.
    pub run: RunId,
    /// The pod, for people.
    pub pod: PodName,
    /// The numbers, at most [`POD_SAMPLES_MAX`].
    pub samples: Vec<PodSample>,
}

/// One number of a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct PodSample {
    /// Name of the sample. Buckets of a histogram are not cumulative.
    pub metric: SampleName,
    /// Value of its one label; empty where it has none.
    pub label: String,
    /// The number: finite and not negative.
    pub value: f64,
}

/// The answer to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedIn {
    /// Whether it counts by this call.
    pub counted: bool,
    /// Numbers that were left out.
    pub left_out: u32,
}

/// A number of a pod is negative, infinite or not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be finite and not negative")]
pub struct InvalidNumber;

invalid_message!(InvalidPodSample of "the sample" {
    Metric: InvalidText = "metric",
    Label: InvalidText = "label",
    Value: InvalidNumber = "value",
});

invalid_message!(InvalidHandIn of "the hand-in request" {
    SnapshotId: InvalidText = "snapshot_id",
    Run: InvalidId = "run",
    Pod: InvalidText = "pod",
    Samples: InvalidList<InvalidPodSample> = "samples",
});

invalid_message!(InvalidHandedIn of "the hand-in response" {
    LeftOut: OutOfRange = "left_out",
});

// === impl PodSample ===

impl From<PodSample> for wire::PodSample {
    fn from(PodSample { metric, label, value }: PodSample) -> Self {
        Self { metric: metric.to_string(), label, value }
    }
}

impl TryFrom<wire::PodSample> for PodSample {
    type Error = InvalidPodSample;

    fn try_from(wire: wire::PodSample) -> Result<Self, InvalidPodSample> {
        use InvalidPodSample as Invalid;
        if !wire.value.is_finite() || wire.value.is_sign_negative() {
            return Err(Invalid::Value { source: InvalidNumber });
        }
        Ok(Self {
            metric: wire.metric.parse().map_err(|source| Invalid::Metric { source })?,
            label: field::at_most(wire.label, LABEL_MAX_BYTES)
                .map_err(|source| Invalid::Label { source })?,
            value: wire.value,
        })
    }
}

// === impl HandIn ===

impl From<HandIn> for wire::HandInRequest {
    fn from(HandIn { snapshot, run, pod, samples }: HandIn) -> Self {
        Self {
            snapshot_id: snapshot.to_string(),
            run: run.to_string(),
            pod: pod.to_string(),
            samples: field::out(samples),
        }
    }
}

impl TryFrom<wire::HandInRequest> for HandIn {
    type Error = InvalidHandIn;

    fn try_from(wire: wire::HandInRequest) -> Result<Self, InvalidHandIn> {
        use InvalidHandIn as Invalid;
        Ok(Self {
            snapshot: wire.snapshot_id.parse().map_err(|source| Invalid::SnapshotId { source })?,
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            pod: wire.pod.parse().map_err(|source| Invalid::Pod { source })?,
            samples: field::list(wire.samples, POD_SAMPLES_MAX)
                .map_err(|source| Invalid::Samples { source })?,
        })
    }
}

// === impl HandedIn ===

impl From<HandedIn> for wire::HandInResponse {
    fn from(HandedIn { counted, left_out }: HandedIn) -> Self {
        Self { counted, left_out }
    }
}

impl TryFrom<wire::HandInResponse> for HandedIn {
    type Error = InvalidHandedIn;

    fn try_from(wire: wire::HandInResponse) -> Result<Self, InvalidHandedIn> {
        let left_out = field::within(wire.left_out, 0, POD_SAMPLES_MAX as u32)
            .map_err(|source| InvalidHandedIn::LeftOut { source })?;
        Ok(Self { counted: wire.counted, left_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_number_is_said() {
        let sample = |value| wire::PodSample {
            metric: "m_total".into(),
            value,
            ..wire::PodSample::default()
        };
        assert!(PodSample::try_from(sample(0.0)).is_ok());
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            let refused = PodSample::try_from(sample(value)).unwrap_err();
            assert_eq!(refused.field(), "value");
        }
        let named = wire::PodSample { metric: "m total".into(), ..wire::PodSample::default() };
        assert_eq!(PodSample::try_from(named).unwrap_err().field(), "metric");
    }

    #[test]
    fn too_many_numbers_are_refused_before_they_are_looked_at() {
        let samples = vec![wire::PodSample::default(); POD_SAMPLES_MAX + 1];
        let request = wire::HandInRequest {
            snapshot_id: "s".into(),
            run: "f-all-g1".into(),
            pod: "p".into(),
            samples,
        };
        let refused = HandIn::try_from(request).unwrap_err();
        assert!(matches!(refused, InvalidHandIn::Samples { source: InvalidList::TooMany { .. } }));
    }
}
