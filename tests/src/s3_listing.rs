//! A bucket with as many objects as wanted, which can only be listed.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::s3_faults::read_request;

/// Objects of a page, as of S3.
const PAGE: u64 = 1_000;

/// The bucket. It ends when it is dropped.
#[derive(Debug)]
pub struct Listing {
    address: SocketAddr,
    /// Pages that were given.
    pub pages: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Listing {
    /// A bucket with `objects` objects below `in/`, whose names end in `extension`.
    pub fn start(objects: u64, extension: &'static str) -> Self {
        Self::of(Bucket { objects, extension, fails_at: None })
    }

    /// The same, where each page is first answered with 200 and an error in the body.
    pub fn start_failing(objects: u64, extension: &'static str) -> Self {
        Self::of(Bucket { objects, extension, fails_at: Some(Mutex::default()) })
    }

    fn of(bucket: Bucket) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let (pages, ends) = (Arc::<AtomicU64>::default(), Arc::new(AtomicBool::new(false)));
        let (given, ended) = (Arc::clone(&pages), Arc::clone(&ends));
        let listener = std::thread::spawn(move || {
            for client in socket.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                // A client that goes away is no concern of the bucket.
                let _ = serve(client, &bucket, &given);
            }
        });
        Self { address, pages, ends, listener: Some(listener) }
    }

    /// What a process needs to list it.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "canary-secret".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }
}

struct Bucket {
    objects: u64,
    extension: &'static str,
    /// The pages that have failed, where each does once.
    fails_at: Option<Mutex<BTreeSet<u64>>>,
}

fn serve(client: TcpStream, bucket: &Bucket, pages: &AtomicU64) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut client = client;
    let Some(request) = read_request(&mut reader)? else { return Ok(()) };
    let (status, body) = match request.is_listing() {
        true => {
            let token = request.target.split_once("continuation-token=");
            let token = token.map_or("0", |(_, token)| token.split('&').next().unwrap());
            let from = token.parse().unwrap();
            match &bucket.fails_at {
                Some(failed) if failed.lock().unwrap().insert(from) => {
                    ("200 OK", "<Error><Code>InternalError</Code></Error>".to_owned())
                }
                _ => {
                    pages.fetch_add(1, Ordering::Relaxed);
                    ("200 OK", page(from, bucket.objects, bucket.extension))
                }
            }
        }
        false => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    client.write_all((head + &body).as_bytes())
}

fn page(from: u64, objects: u64, extension: &str) -> String {
    let to = objects.min(from + PAGE);
    let more = to < objects;
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>lake</Name><Prefix>in/</Prefix><KeyCount>{}</KeyCount><MaxKeys>{PAGE}</MaxKeys><IsTruncated>{more}</IsTruncated>",
        to - from
    );
    for object in from..to {
        body.push_str(&format!("<Contents><Key>in/part-{object:08}.{extension}</Key><LastModified>2013-01-01T00:00:00.000Z</LastModified><ETag>&quot;{object:032x}&quot;</ETag><Size>100</Size><StorageClass>STANDARD</StorageClass></Contents>"));
    }
    if more {
        body.push_str(&format!("<NextContinuationToken>{to}</NextContinuationToken>"));
    }
    body + "</ListBucketResult>"
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}
