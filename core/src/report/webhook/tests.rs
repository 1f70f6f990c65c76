use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 4231, test cases 1, 2, 6 and 7.
#[test]
fn the_code_is_that_of_the_standard() {
    let cases: [(&[u8], &[u8], &str); 4] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &[0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, data, expected) in cases {
        assert_eq!(hex(&hmac(key, &[data])), expected);
        let (first, second) = data.split_at(3);
        assert_eq!(hex(&hmac(key, &[first, second])), expected, "in parts");
    }
}

/// The example of the standard's own specification.
#[test]
fn a_signature_is_that_of_standard_webhooks() {
    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let at = Timestamp::from_second(1_614_265_330).unwrap();
    let body = br#"{"test": 2432232314}"#;
    assert_eq!(
        secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[test]
fn a_secret_is_long_and_never_shown() {
    let secret = Secret::parse(" 0123456789abcdef0123456789abcdef\n").unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(…)");
    assert_eq!(Secret::parse("short").unwrap_err(), InvalidSecret::Short);
    assert_eq!(Secret::parse("whsec_AAAA").unwrap_err(), InvalidSecret::Short);
    assert_eq!(Secret::parse("whsec_!").unwrap_err(), InvalidSecret::Malformed);
}

#[test]
fn the_message_says_what_became_of_the_run() {
    let report = crate::report::study::tests::partial().report;
    let reporting = crate::report::study::tests::reporting();
    let page = Some("/reports/report.html".to_owned());
    let message = Message::new(&report, &reporting, page);
    insta::assert_snapshot!(serde_json::to_string_pretty(&message).unwrap());
}
