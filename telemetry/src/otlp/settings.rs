//! The standard variables, as far as they mean something here.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use thiserror::Error;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::{ClientTlsConfig, Endpoint};

/// How long one call may take, unless the environment says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long spans wait for company.
const TRACES_EVERY: Duration = Duration::from_secs(1);
/// How often metrics are sent. The standard says a minute, in which half of all workers are done.
const METRICS_EVERY: Duration = Duration::from_secs(10);
/// Longest of any of these times.
const TIME_MAX: Duration = Duration::from_secs(3_600);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// Most attributes from `OTEL_RESOURCE_ATTRIBUTES`, and most headers.
const PAIRS_MAX: usize = 64;

/// What is sent where.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where traces go; nowhere if absent.
    pub(crate) traces: Option<Endpoint>,
    /// Where metrics go; nowhere if absent.
    pub(crate) metrics: Option<Endpoint>,
    /// Who sends.
    pub(crate) resource: Resource,
    /// Which traces.
    pub(crate) sampler: Sampler,
    /// How long a call may take.
    pub(crate) timeout: Duration,
    /// How long spans wait for company.
    pub(crate) traces_every: Duration,
    /// How often metrics are sent.
    pub(crate) metrics_every: Duration,
    /// Sent along with each call, such as a token.
    pub(crate) headers: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
}

/// Which traces are sent. The answer follows from the trace, so all processes agree on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    /// Whether whoever began the trace has the say, where somebody else did.
    parent_based: bool,
    /// Which part of all traces, from 0 to 1.
    ratio: f64,
}

/// What is wrong with a variable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidSettings {
    /// Not an address.
    #[error("{variable} is no address of an OTLP receiver; write it as in http://collector:4317")]
    Endpoint {
        /// The variable.
        variable: String,
    },
    /// Not a time.
    #[error("{variable} is `{value}`, not a number of milliseconds from 1 to 3600000")]
    Time {
        /// The variable.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// Another protocol.
    #[error("{variable} is `{value}`; only grpc is spoken, usually on port 4317")]
    Protocol {
        /// The variable.
        variable: String,
        /// What it says.
        value: String,
    },
    /// Not a sampler.
    #[error(
        "OTEL_TRACES_SAMPLER is `{value}`; use always_on, always_off or traceidratio, or one of them after parentbased_"
    )]
    Sampler {
        /// What it says.
        value: String,
    },
    /// Not a ratio.
    #[error("OTEL_TRACES_SAMPLER_ARG is `{value}`, not a number from 0 to 1")]
    Ratio {
        /// What it says.
        value: String,
    },
    /// Not pairs.
    #[error("{variable} is not a list as in name=value,other=value")]
    Pairs {
        /// The variable.
        variable: &'static str,
    },
}

/// What was read: nothing where nothing is to be sent.
pub(crate) type Read = Result<Option<Settings>, InvalidSettings>;

impl Settings {
    /// Reads the variables through `get`; one that is empty is as good as absent.
    pub(crate) fn read(service: &str, get: impl Fn(&str) -> Option<String>) -> Read {
        let get = |name: &str| get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let traces = endpoint(&get, "TRACES")?;
        let metrics = endpoint(&get, "METRICS")?;
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let time = |variable, usual| time(&get, variable, usual);
        Ok(Some(Self {
            traces,
            metrics,
            resource: resource(service, &get)?,
            sampler: Sampler::read(&get)?,
            timeout: time("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT)?,
            traces_every: time("OTEL_BSP_SCHEDULE_DELAY", TRACES_EVERY)?,
            metrics_every: time("OTEL_METRIC_EXPORT_INTERVAL", METRICS_EVERY)?,
            headers: headers(&get)?,
        }))
    }
}

/// Where one signal goes: its own variable wins over the one for all signals.
fn endpoint(
    get: &impl Fn(&str) -> Option<String>,
    signal: &str,
) -> Result<Option<Endpoint>, InvalidSettings> {
    if get(&format!("OTEL_{signal}_EXPORTER")).is_some_and(|exporter| exporter == "none") {
        return Ok(None);
    }
    let either = |end: &str| {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{end}");
        let all = format!("OTEL_EXPORTER_OTLP_{end}");
        let named = |variable: String| get(&variable).map(|value| (variable, value));
        named(own).or_else(|| named(all))
    };
    let Some((variable, uri)) = either("ENDPOINT") else { return Ok(None) };
    if let Some((variable, value)) = either("PROTOCOL")
        && value != "grpc"
    {
        return Err(InvalidSettings::Protocol { variable, value });
    }
    let made = uri.starts_with("http://") || uri.starts_with("https://");
    let endpoint = Endpoint::from_shared(uri.clone()).ok().filter(|_| made);
    let endpoint = endpoint.map(|endpoint| endpoint.connect_timeout(CONNECT));
    let endpoint = match endpoint {
        Some(endpoint) if uri.starts_with("https://") => {
            endpoint.tls_config(ClientTlsConfig::new().with_native_roots()).ok()
        }
        plain => plain,
    };
    endpoint.map(Some).ok_or(InvalidSettings::Endpoint { variable })
}

fn time(
    get: &impl Fn(&str) -> Option<String>,
    variable: &'static str,
    usual: Duration,
) -> Result<Duration, InvalidSettings> {
    let Some(value) = get(variable) else { return Ok(usual) };
    let time = value.parse().ok().map(Duration::from_millis);
    let time = time.filter(|time| !time.is_zero() && *time <= TIME_MAX);
    time.ok_or(InvalidSettings::Time { variable, value })
}

fn resource(
    service: &str,
    get: &impl Fn(&str) -> Option<String>,
) -> Result<Resource, InvalidSettings> {
    let named = pairs(get, "OTEL_RESOURCE_ATTRIBUTES")?;
    let mut all = vec![
        ("service.name".to_owned(), service.to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("telemetry.sdk.name".to_owned(), "nightshift".to_owned()),
        ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
    ];
    // The pod says which of many workers it was; a host name does outside of one.
    let host = get("POD_NAME").or_else(|| get("HOSTNAME"));
    all.extend(host.map(|host| ("service.instance.id".to_owned(), host)));
    let own = get("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name));
    for (key, value) in named.into_iter().chain(own) {
        match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => all.push((key, value)),
        }
    }
    let attributes = all.into_iter().map(|(key, value)| attribute(key, value)).collect();
    Ok(Resource { attributes, ..Resource::default() })
}

/// One attribute with a text.
pub(crate) fn attribute(key: impl Into<String>, value: impl Into<String>) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn headers(
    get: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<(AsciiMetadataKey, AsciiMetadataValue)>, InvalidSettings> {
    const VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let wrong = || InvalidSettings::Pairs { variable: VARIABLE };
    let header = |(key, value): (String, String)| {
        let key = key.to_ascii_lowercase().parse().map_err(|_| wrong())?;
        Ok((key, value.parse().map_err(|_| wrong())?))
    };
    pairs(get, VARIABLE)?.into_iter().map(header).collect()
}

fn pairs(
    get: &impl Fn(&str) -> Option<String>,
    variable: &'static str,
) -> Result<Vec<(String, String)>, InvalidSettings> {
    let Some(text) = get(variable) else { return Ok(Vec::new()) };
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then(|| (key.to_owned(), decoded(value.trim())))
    };
    let parts = text.split(',').filter(|part| !part.trim().is_empty()).take(PAIRS_MAX);
    parts.map(|part| pair(part).ok_or(InvalidSettings::Pairs { variable })).collect()
}

/// A value with `%20` and the like made plain; as it is where that gives no text.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

impl Sampler {
    fn read(get: &impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let Some(value) = get("OTEL_TRACES_SAMPLER") else {
            return Ok(Self { parent_based: true, ratio: 1.0 });
        };
        let (parent_based, kind) = match value.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, &*value),
        };
        let ratio = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => match get("OTEL_TRACES_SAMPLER_ARG") {
                None => 1.0,
                Some(value) => {
                    let ratio: Option<f64> = value.parse().ok();
                    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
                    ratio.ok_or(InvalidSettings::Ratio { value })?
                }
            },
            _ => return Err(InvalidSettings::Sampler { value }),
        };
        Ok(Self { parent_based, ratio })
    }

    /// Whether a trace is sent; `parent` is what whoever began it says, if that is somebody else.
    pub(crate) fn samples(&self, trace: &[u8; 16], parent: Option<bool>) -> bool {
        if let (true, Some(sampled)) = (self.parent_based, parent) {
            return sampled;
        }
        if self.ratio >= 1.0 {
            return true;
        }
        // As the specification of TraceIdRatioBased has it: the lower half is taken as a number.
        let mut low = [0; 8];
        low.copy_from_slice(&trace[8..]);
        let place = (u64::from_be_bytes(low) >> 1) as f64 / (1_u64 << 63) as f64;
        place < self.ratio
    }
}

#[cfg(test)]
mod tests;
