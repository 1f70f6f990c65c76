use super::*;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

fn read(variables: &[(&str, &str)]) -> Read {
    let get = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::read("nightshift-worker", get)
}

fn one(more: (&str, &str)) -> Read {
    read(&[ENDPOINT, more])
}

fn resource_of(settings: &Settings, name: &str) -> Option<String> {
    let found = settings.resource.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_sent_unless_somebody_says_where() {
    assert!(read(&[]).unwrap().is_none());
    assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
    assert!(one(("OTEL_SDK_DISABLED", "true")).unwrap().is_none());
    let both = one(("OTEL_SDK_DISABLED", "false")).unwrap().unwrap();
    assert!(both.traces.is_some() && both.metrics.is_some());
    let traces = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ENDPOINT.1)]).unwrap().unwrap();
    assert!(traces.traces.is_some() && traces.metrics.is_none());
    let metrics = one(("OTEL_TRACES_EXPORTER", "none")).unwrap().unwrap();
    assert!(metrics.traces.is_none() && metrics.metrics.is_some());
}

#[test]
fn what_is_wrong_is_named() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "9999999999"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
    ] {
        let error = one((name, value)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let ratio =
        [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
    assert_eq!(read(&ratio).unwrap_err(), InvalidSettings::Ratio { value: "2".to_owned() });
}

#[test]
fn the_resource_is_who_sends() {
    let usual = read(&[ENDPOINT]).unwrap().unwrap();
    assert_eq!(resource_of(&usual, "service.name").unwrap(), "nightshift-worker");
    let named = read(&[
        ENDPOINT,
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x, deployment.environment=the%20lab,"),
        ("OTEL_SERVICE_NAME", "scoring"),
        ("POD_NAME", "flights-0"),
    ]);
    let named = named.unwrap().unwrap();
    assert_eq!(resource_of(&named, "service.name").unwrap(), "scoring");
    assert_eq!(resource_of(&named, "deployment.environment").unwrap(), "the lab");
    assert_eq!(resource_of(&named, "service.instance.id").unwrap(), "flights-0");
}

#[test]
fn samplers_do_as_they_say() {
    let trace = |byte| [byte; 16];
    let sampler = |name| one(("OTEL_TRACES_SAMPLER", name)).unwrap().unwrap().sampler;
    let usual = read(&[ENDPOINT]).unwrap().unwrap().sampler;
    assert!(usual.samples(&trace(255), None) && !usual.samples(&trace(1), Some(false)));
    assert!(sampler("always_on").samples(&trace(1), Some(false)));
    assert!(!sampler("always_off").samples(&trace(1), Some(true)));
    assert!(sampler("parentbased_always_off").samples(&trace(1), Some(true)));
    let half = read(&[
        ENDPOINT,
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
    ]);
    let half = half.unwrap().unwrap().sampler;
    assert!(half.samples(&trace(0x7f), None) && !half.samples(&trace(0x80), None));
}
