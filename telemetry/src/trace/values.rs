//! Fields of a span as attributes, and those that say where it belongs.

use std::borrow::Cow;
use std::fmt::Debug;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use tracing::field::{Field, Visit};

use super::TRACE_ONLY;
use super::layer::TraceContext;
use crate::secrets::Secrets;

/// The field that names the trace of a span, and the span that it is within.
pub(super) const PARENT: &str = "trace.parent";

/// Most bytes of one value; the document that it names has it all.
const VALUE_MAX_BYTES: usize = 512;
/// Most attributes of a span.
const ATTRIBUTES_MAX: usize = 32;

/// What the fields of a span say.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Attributes, each name once.
    pub(super) attributes: Vec<KeyValue>,
    /// The span that it is within, in another process.
    pub(super) parent: Option<TraceContext>,
    /// The identity that it has itself.
    pub(super) own: Option<TraceContext>,
    /// When it began, if that was before it was made.
    pub(super) start_ns: Option<u64>,
    /// Whether only the time in which it is entered counts.
    pub(super) busy: bool,
    /// What went wrong.
    pub(super) failed: Option<String>,
}

impl Values {
    /// Takes over what was recorded later.
    pub(super) fn merge(&mut self, later: Self) {
        for KeyValue { key, value, .. } in later.attributes {
            self.set(key, value);
        }
        if later.failed.is_some() {
            self.failed = later.failed;
        }
    }

    /// Takes secrets out of texts.
    pub(super) fn hide(&mut self, secrets: &Secrets) {
        let texts = self.attributes.iter_mut().filter_map(|attribute| {
            match attribute.value.as_mut().and_then(|value| value.value.as_mut()) {
                Some(Value::StringValue(text)) => Some(text),
                _ => None,
            }
        });
        for text in texts.chain(&mut self.failed) {
            if let Cow::Owned(hidden) = secrets.hide(text) {
                *text = hidden;
            }
        }
    }

    /// Sets the attribute of a field.
    pub(super) fn add(&mut self, name: &str, value: Value) {
        let name = name.strip_prefix(TRACE_ONLY).unwrap_or(name);
        self.set(format!("nightshift.{name}"), Some(AnyValue { value: Some(value) }));
    }

    fn set(&mut self, key: String, value: Option<AnyValue>) {
        if let Some(known) = self.attributes.iter_mut().find(|known| known.key == key) {
            known.value = value;
        } else if self.attributes.len() < ATTRIBUTES_MAX {
            self.attributes.push(KeyValue { key, value, ..KeyValue::default() });
        }
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let short = &value[..value.floor_char_boundary(VALUE_MAX_BYTES)];
        match field.name() {
            PARENT => self.parent = TraceContext::parse(value),
            "trace.own" => self.own = TraceContext::parse(value),
            "trace.failed" => self.failed = Some(short.to_owned()),
            name => self.add(name, Value::StringValue(short.to_owned())),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "trace.busy" => self.busy = value,
            name => self.add(name, Value::BoolValue(value)),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), Value::IntValue(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "trace.start_ns" => self.start_ns = Some(value),
            name => self.add(name, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX))),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), Value::DoubleValue(value));
    }
}
