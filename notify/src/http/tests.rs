use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap as Received, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::*;

/// What the double does with a message that it has received: it always happened.
#[derive(Debug, Clone, Copy)]
enum Act {
    Answer(u16),
    /// Never answers.
    Hang,
}

/// A service that does as told, and remembers what reached it.
#[derive(Clone, Default)]
struct Double {
    acts: Arc<Mutex<VecDeque<Act>>>,
    received: Arc<Mutex<Vec<(Received, Bytes)>>>,
}

impl Double {
    async fn serve(acts: &[Act]) -> (Self, Endpoint) {
        let double = Self::default();
        double.acts.lock().unwrap().extend(acts);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/hook", post(receive)).with_state(double.clone());
        nightshift_telemetry::spawn("double", async move {
            axum::serve(listener, router).await.unwrap();
        });
        (double, Endpoint::parse(&format!("http://{address}/hook")).unwrap())
    }

    fn received(&self) -> Vec<(Received, Bytes)> {
        self.received.lock().unwrap().clone()
    }
}

async fn receive(State(double): State<Double>, headers: Received, body: Bytes) -> Response {
    double.received.lock().unwrap().push((headers, body));
    let act = double.acts.lock().unwrap().pop_front();
    match act {
        None => StatusCode::OK.into_response(),
        Some(Act::Hang) => std::future::pending().await,
        Some(Act::Answer(status)) => {
            let location = [("location", "http://169.254.169.254/latest")];
            (StatusCode::from_u16(status).unwrap(), location).into_response()
        }
    }
}

fn http() -> Http {
    // The first test installs it, for all that run in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let patience =
        Patience { tries: 3, each: Duration::from_millis(400), pause: Duration::from_millis(10) };
    Http::new(patience).unwrap()
}

fn id() -> HeaderMap {
    HeaderMap::from_iter([(
        reqwest::header::HeaderName::from_static("webhook-id"),
        HeaderValue::from_static("msg_1"),
    )])
}

#[tokio::test]
async fn a_message_gets_through_whatever_happened_to_those_before_it() {
    for acts in [
        &[][..],
        &[Act::Answer(500)],
        &[Act::Answer(503), Act::Answer(429)],
        &[Act::Hang],
        &[Act::Hang, Act::Answer(502)],
    ] {
        let (double, to) = Double::serve(acts).await;
        http().post(&to, b"{}", id).await.unwrap();
        let received = double.received();
        assert_eq!(received.len(), acts.len() + 1, "{acts:?}");
        for (headers, body) in received {
            assert_eq!(headers["webhook-id"], "msg_1", "so that the receiver can tell");
            assert_eq!(headers["content-type"], "application/json");
            assert_eq!(&body[..], b"{}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again() {
    let (double, to) = Double::serve(&[Act::Answer(400)]).await;
    let error = http().post(&to, b"{}", id).await.unwrap_err();
    assert!(matches!(error, NotTold::Refused { status: 400, .. }), "{error}");
    assert_eq!(double.received().len(), 1);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (double, to) = Double::serve(&[Act::Answer(status)]).await;
        let error = http().post(&to, b"{}", id).await.unwrap_err();
        assert!(matches!(error, NotTold::Redirected { .. }), "{error}");
        assert_eq!(double.received().len(), 1);
    }
}

#[tokio::test]
async fn the_patience_has_an_end() {
    let (double, to) = Double::serve(&[Act::Answer(500); 9]).await;
    let error = http().post(&to, b"{}", id).await.unwrap_err();
    assert!(matches!(&error, NotTold::Away { tries: 3, .. }), "{error}");
    assert_eq!(double.received().len(), 3);
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Endpoint::parse(&format!("http://{port}/T0/secret-path")).unwrap();
    let error = http().post(&nobody, b"{}", id).await.unwrap_err();
    assert!(matches!(&error, NotTold::Away { .. }), "{error}");
    assert!(!error.to_string().contains("secret-path"), "{error}");
}

#[test]
fn a_name_may_not_mean_what_a_spec_may_not_write() {
    let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 80);
    let fine = vec![address("10.0.0.1"), address("::1")];
    assert_eq!(harmless(fine.clone()), Ok(fine));
    assert!(harmless(vec![address("10.0.0.1"), address("169.254.169.254")]).is_err());
    assert!(harmless(vec![address("::ffff:169.254.169.254")]).is_err());
}

#[test]
fn tries_end_before_others_take_over() {
    let Patience { tries, each, pause } = Patience::DEFAULT;
    let pauses = pause * ((1 << (tries - 1)) - 1);
    let most = each * tries + pauses;
    let limit = nightshift_core::report::telling::TRY_MAX_S.unsigned_abs();
    assert!(most < Duration::from_secs(limit), "{most:?}");
}
