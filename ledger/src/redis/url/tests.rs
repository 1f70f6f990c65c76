use super::*;

fn shown(text: &str) -> Result<String, &'static str> {
    text.parse::<RedisUrl>().map(|url| url.to_string()).map_err(|error| error.reason)
}

#[test]
fn what_is_a_redis_url() {
    for (text, expected) in [
        ("redis://host", "redis://host:6379/0"),
        ("redis://host/", "redis://host:6379/0"),
        ("rediss://host:6380/2", "rediss://host:6380/2"),
        ("redis://:secret@host", "redis://:***@host:6379/0"),
        ("redis://user:secret@10.0.0.1:1/15", "redis://user:***@10.0.0.1:1/15"),
        ("redis://us%40er:s%2Fe%3Acret@host", "redis://us@er:***@host:6379/0"),
        ("redis://[::1]:7/0", "redis://[::1]:7/0"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        assert_eq!(
            format!("{:?}", text.parse::<RedisUrl>().unwrap()),
            format!("RedisUrl({expected})")
        );
    }
}

#[test]
fn what_is_none() {
    let long = format!("redis://{}", "h".repeat(5000));
    for text in [
        "",
        "host:6379",
        "http://host",
        "unix:///run/redis.sock",
        "redis://",
        "redis://host:99999",
        "redis://host:x",
        "redis://host/one",
        "redis://host/-1",
        "redis://user@host",
        "redis://host?protocol=resp3",
        "rediss://host#insecure",
        "redis://user:%ff@host",
        "redis://0.0.0.0",
        &long,
    ] {
        assert!(shown(text).is_err(), "{text}: {:?}", shown(text));
    }
}

#[test]
fn the_password_is_taken_out_of_what_others_say() {
    let url: RedisUrl = "redis://user:s%2Fecret@host".parse().unwrap();
    let said = "ERR unknown command `AUTH`, with args beginning with: `user` `s/ecret`";
    assert!(!url.scrub(said).contains("s/ecret"));
    let without: RedisUrl = "redis://host".parse().unwrap();
    assert_eq!(without.scrub(said), said);
}
