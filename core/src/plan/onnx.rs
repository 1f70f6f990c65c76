//! Settings of tasks that run a graph of ONNX.

use serde::{Deserialize, Serialize};

/// What a task of `kind: onnx` says: part of the plan and of its fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnnxSettings {
    /// The columns that the inputs of the graph are made of, in their order; those that have the
    /// names of the inputs if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The outputs of the graph that are written; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::OnnxSettings;
    use crate::plan::TaskSettings;
    use crate::spec::Task;

    #[test]
    fn settings_come_back_from_a_plan() {
        for own in [r#"{}"#, r#"{"columns":["a","b"],"outputs":["label"]}"#] {
            let stored = format!(
                r#"{{"onnx":{own},"kind":"onnx","id":["id"],"keep":[],"output_format":"parquet",
                "rejects_max_ratio":0.01,"rejects_min":5,"crash_budget":3}}"#
            );
            let task: TaskSettings = serde_json::from_str(&stored).unwrap();
            let wanted: OnnxSettings = serde_json::from_str(own).unwrap();
            assert_eq!(task.task(), Task::Onnx(wanted));
            let written = serde_json::to_value(&task).unwrap();
            assert_eq!(written, serde_json::from_str::<serde_json::Value>(&stored).unwrap());
        }
    }
}
