//! What an OTLP message says, point by point.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, HistogramDataPoint, Metric, NumberDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::dropped::Dropped;
use crate::names::{Labels, family, labels};
use crate::settings::{BOUNDS_MAX, HELP_MAX_BYTES};
use crate::store::{Description, Kind, Point, Store, Value};

/// Attribute of the resource that every series carries as a label.
const SERVICE: &str = "service.name";

/// Points that were dropped, by reason.
pub type Rejected = BTreeMap<Dropped, u64>;

/// Takes a message into the store and says what was not taken.
pub fn take(store: &mut Store, request: ExportMetricsServiceRequest) -> Rejected {
    let mut rejected = Rejected::new();
    for resource in request.resource_metrics {
        let service = service(resource.resource.as_ref());
        for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            take_metric(store, &mut rejected, service.as_deref(), metric);
        }
    }
    for (reason, points) in &rejected {
        store.drop_points(*reason, *points);
    }
    rejected
}

fn service(resource: Option<&Resource>) -> Option<String> {
    let attribute = resource?.attributes.iter().find(|attribute| attribute.key == SERVICE)?;
    Some(text(attribute.value.as_ref()))
}

fn take_metric(store: &mut Store, rejected: &mut Rejected, service: Option<&str>, metric: Metric) {
    let mut count = |reason, points: usize| {
        *rejected.entry(reason).or_default() += points as u64;
    };
    let Metric { name, description, unit, data, .. } = metric;
    let Some(data) = data else { return };
    let points = match &data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    };
    let shape = match shape(&data) {
        Ok(shape) => shape,
        Err(reason) => return count(reason, points),
    };
    let name = match family(&name, &unit, shape.kind) {
        Ok(name) => name,
        Err(reason) => return count(reason, points),
    };
    let help = cut(&description, HELP_MAX_BYTES).to_owned();
    let about = Description { name, kind: shape.kind, help };
    let mut put = |point: Result<Point, Dropped>| {
        if let Err(reason) = point.and_then(|point| store.put(&about, point)) {
            count(reason, 1);
        }
    };
    match data {
        Data::Gauge(gauge) => {
            gauge.data_points.iter().for_each(|point| put(number(point, shape, service)));
        }
        Data::Sum(sum) => {
            sum.data_points.iter().for_each(|point| put(number(point, shape, service)));
        }
        Data::Histogram(all) => {
            all.data_points.into_iter().for_each(|point| put(histogram(point, shape, service)));
        }
        Data::ExponentialHistogram(_) | Data::Summary(_) => {}
    }
}

/// What all points of a metric have in common.
#[derive(Debug, Clone, Copy)]
struct Shape {
    kind: Kind,
    is_delta: bool,
}

fn shape(data: &Data) -> Result<Shape, Dropped> {
    let is_delta = |temporality| match AggregationTemporality::try_from(temporality) {
        Ok(AggregationTemporality::Delta) => Ok(true),
        Ok(AggregationTemporality::Cumulative) => Ok(false),
        _ => Err(Dropped::Temporality),
    };
    match data {
        Data::Gauge(_) => Ok(Shape { kind: Kind::Gauge, is_delta: false }),
        Data::Sum(sum) => {
            let kind = if sum.is_monotonic { Kind::Counter } else { Kind::Gauge };
            Ok(Shape { kind, is_delta: is_delta(sum.aggregation_temporality)? })
        }
        Data::Histogram(histogram) => {
            let is_delta = is_delta(histogram.aggregation_temporality)?;
            Ok(Shape { kind: Kind::Histogram, is_delta })
        }
        Data::ExponentialHistogram(_) | Data::Summary(_) => Err(Dropped::Kind),
    }
}

/// Whether a point says that its series has ended.
fn is_end(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 != 0
}

fn number(point: &NumberDataPoint, shape: Shape, service: Option<&str>) -> Result<Point, Dropped> {
    let value = if is_end(point.flags) {
        None
    } else {
        let value = match point.value.ok_or(Dropped::Value)? {
            Number::AsDouble(value) => value,
            Number::AsInt(value) => value as f64,
        };
        let is_possible = match shape.kind {
            Kind::Counter => value.is_finite() && value >= 0.0,
            // A sum with one impossible step would be lost for ever.
            _ => !shape.is_delta || value.is_finite(),
        };
        if !is_possible {
            return Err(Dropped::Value);
        }
        Some(Value::Number(value))
    };
    Ok(Point {
        labels: all_labels(&point.attributes, service)?,
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        is_delta: shape.is_delta,
        value,
    })
}

fn histogram(
    point: HistogramDataPoint,
    shape: Shape,
    service: Option<&str>,
) -> Result<Point, Dropped> {
    let labels = all_labels(&point.attributes, service)?;
    let value = if is_end(point.flags) { None } else { Some(buckets(&point)?) };
    Ok(Point {
        labels,
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        is_delta: shape.is_delta,
        value,
    })
}

fn buckets(point: &HistogramDataPoint) -> Result<Value, Dropped> {
    let mut bounds = point.explicit_bounds.clone();
    let mut counts = point.bucket_counts.clone();
    if counts.is_empty() && bounds.is_empty() {
        counts.push(point.count);
    }
    // The infinite bound is always there; some name it nevertheless.
    if bounds.last() == Some(&f64::INFINITY) && counts.len() == bounds.len() + 1 {
        bounds.pop();
        let last = counts.pop().unwrap_or_default();
        if let Some(before) = counts.last_mut() {
            *before = before.saturating_add(last);
        }
    }
    let total = counts.iter().try_fold(0_u64, |total, count| total.checked_add(*count));
    let is_sound = bounds.len() <= BOUNDS_MAX
        && counts.len() == bounds.len() + 1
        && total == Some(point.count)
        && bounds.iter().all(|bound| bound.is_finite())
        && bounds.is_sorted_by(|a, b| a < b);
    if !is_sound {
        return Err(Dropped::Buckets);
    }
    if point.sum.is_some_and(|sum| !sum.is_finite()) {
        return Err(Dropped::Value);
    }
    Ok(Value::Histogram { bounds, counts, sum: point.sum })
}

fn all_labels(attributes: &[KeyValue], service: Option<&str>) -> Result<Labels, Dropped> {
    let own = attributes.iter().map(|a| (a.key.as_str(), text(a.value.as_ref())));
    // What a point says of itself is nearer to the truth than what its process says.
    let has_service = attributes.iter().any(|a| a.key == SERVICE || a.key == "service_name");
    let service = service.filter(|_| !has_service).map(|name| (SERVICE, name.to_owned()));
    labels(own.chain(service))
}

/// An attribute's value as text; lists and maps only by their kind, they are no labels.
fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::BoolValue(value)) => value.to_string(),
        Some(Any::IntValue(value)) => value.to_string(),
        Some(Any::DoubleValue(value)) => value.to_string(),
        Some(Any::ArrayValue(_)) => "(list)".to_owned(),
        Some(Any::KvlistValue(_)) => "(map)".to_owned(),
        Some(Any::BytesValue(_)) => "(bytes)".to_owned(),
        Some(Any::StringValueStrindex(_)) | None => String::new(),
    }
}

/// The longest beginning of `text` with at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests;
