//! Where the input and the output of a test lie: on a volume, in a bucket, or in a bucket whose
//! store spoils requests.
//!
//! The body of a test takes a [`Place`] and asks it for its [`Bench`]. It is made a test of each
//! place by [`on_a_volume_and_in_a_bucket!`](crate::on_a_volume_and_in_a_bucket) and
//! [`through_faults!`](crate::through_faults).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::bench::{Bench, SpecText};
use crate::random::Random;
use crate::s3::S3;
use crate::s3_faults::{Faults, Kind};

/// The bucket of a bench.
pub const BUCKET: &str = "lake";
/// Environment variable with another percentage of requests that are spoiled.
const PERCENT_VARIABLE: &str = "NIGHTSHIFT_TEST_PERCENT";
/// Requests of a hundred that are spoiled in the ordinary suite.
const PERCENT: u64 = 10;

/// Where input and output lie.
#[derive(Debug, Clone)]
pub enum Place {
    /// A folder.
    Volume,
    /// A bucket.
    Bucket,
    /// A bucket behind a proxy that spoils some of all requests.
    Faulty {
        /// How many of a hundred.
        percent: u64,
        /// Which ones, and how.
        random: Random,
    },
}

impl Place {
    /// A bucket behind faults, for the test called `test`.
    pub fn faulty(test: &str) -> Self {
        let percent = std::env::var(PERCENT_VARIABLE).map_or(PERCENT, |text| text.parse().unwrap());
        Self::Faulty { percent, random: Random::for_test(test) }
    }

    /// Whether it is a bucket.
    pub fn is_bucket(&self) -> bool {
        !matches!(self, Self::Volume)
    }

    /// Whether requests are spoiled there.
    pub fn is_faulty(&self) -> bool {
        matches!(self, Self::Faulty { .. })
    }

    /// As many as `on_a_volume`, or fewer in a bucket, where each takes its time.
    pub fn size<T>(&self, on_a_volume: T, in_a_bucket: T) -> T {
        if self.is_bucket() { in_a_bucket } else { on_a_volume }
    }

    /// An empty bench there.
    pub fn empty(&self) -> Bench {
        match self {
            Self::Volume => Bench::new(),
            Self::Bucket => Bench::in_lake(Lake::new(None)),
            Self::Faulty { percent, random } => {
                Bench::in_lake(Lake::new(Some((*percent, random.clone()))))
            }
        }
    }

    /// As [`Bench::with`], there.
    pub fn with(&self, spec: &SpecText, file: &str, rows: u64) -> Bench {
        let bench = self.empty();
        bench.write_spec(&spec.yaml());
        crate::flights::write(&bench.path("in").join(file), rows);
        bench
    }

    /// As [`Bench::dated`], there.
    pub fn dated(&self, spec: &SpecText, dates: &[&str], rows: u64) -> Bench {
        let bench = self.empty();
        bench.write_dated(spec, dates, rows);
        bench
    }
}

/// Makes each function, which takes a [`Place`], a test on a volume and one in a bucket.
#[macro_export]
macro_rules! on_a_volume_and_in_a_bucket {
    ($($test:ident),+ $(,)?) => {
        mod on_a_volume {
            $(
                #[test]
                fn $test() {
                    super::$test(&nightshift_tests::place::Place::Volume);
                }
            )+
        }
        mod in_a_bucket {
            $(
                #[test]
                fn $test() {
                    super::$test(&nightshift_tests::place::Place::Bucket);
                }
            )+
        }
    };
}

/// Makes each function, which takes a [`Place`], a test in a bucket whose store spoils requests.
#[macro_export]
macro_rules! through_faults {
    ($($test:ident),+ $(,)?) => {
        mod through_faults {
            $(
                #[test]
                #[ignore = "it takes minutes: make test-faults"]
                fn $test() {
                    super::$test(&nightshift_tests::place::Place::faulty(stringify!($test)));
                }
            )+
        }
    };
}

/// A server with the bucket of a bench. What is below `in` and `out` of the folder of the bench is
/// a copy of what is in the bucket: input is put there before a program starts, and output is
/// taken from there when a test looks at it.
#[derive(Debug)]
pub struct Lake {
    s3: S3,
    faults: Option<Faults>,
    input: Mutex<BTreeMap<String, Vec<u8>>>,
    output: Mutex<BTreeMap<String, String>>,
}

impl Lake {
    fn new(faults: Option<(u64, Random)>) -> Self {
        let s3 = S3::start();
        s3.create_bucket(BUCKET);
        let faults = faults.map(|(percent, random)| {
            // What a listing does not have yet is not known, be it input or a final: nothing is
            // lost by that, but tests of decisions would count it missing. `buckets` has it.
            Faults::among(&s3, percent, random, |kind, _| kind != Kind::StaleListing)
        });
        Self { s3, faults, input: Mutex::default(), output: Mutex::default() }
    }

    /// The server.
    pub fn s3(&self) -> &S3 {
        &self.s3
    }

    /// The proxy before it, if there is one.
    pub fn faults(&self) -> Option<&Faults> {
        self.faults.as_ref()
    }

    /// What a program finds in its environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let Some(faults) = &self.faults else { return self.s3.environment().to_vec() };
        let mut environment = self.s3.environment_by(faults.url());
        environment.push(("NIGHTSHIFT_STORE_TIMEOUT", "1".to_owned()));
        environment
    }

    /// The YAML with its input and output in the bucket.
    pub(crate) fn rewrite(yaml: &str) -> String {
        let place = |text: &str| format!("uri: \"s3://{BUCKET}/{text}");
        let text = yaml.replace("uri: \"in", &place("in"));
        text.replace("uri: out,", &format!("{}\",", place("out")))
    }

    /// Puts what has changed below `folder` into the bucket, and takes away what is gone.
    pub(crate) fn put_input(&self, folder: &Path) {
        let mut known = self.input.lock().unwrap();
        let now = files(folder, "in");
        known.retain(|key, _| {
            let stays = now.contains_key(key);
            if !stays {
                self.s3.delete_object(BUCKET, key);
            }
            stays
        });
        for (key, bytes) in now {
            if known.get(&key) != Some(&bytes) {
                self.s3.put_object(BUCKET, &key, &bytes);
                known.insert(key, bytes);
            }
        }
    }

    /// Makes `folder` what is below `out` in the bucket.
    pub(crate) fn take_output(&self, folder: &Path) {
        let mut known = self.output.lock().unwrap();
        let now = self.s3.list(BUCKET, "out/");
        let path = |key: &str| folder.join(key.trim_start_matches("out/"));
        for (key, etag) in &now {
            if known.get(key) == Some(etag) && path(key).is_file() {
                continue;
            }
            // What a collector has removed since is gone.
            let Some(bytes) = self.s3.object(BUCKET, key) else { continue };
            std::fs::create_dir_all(path(key).parent().unwrap()).unwrap();
            std::fs::write(path(key), bytes).unwrap();
        }
        let there: BTreeSet<PathBuf> = now.keys().map(|key| path(key)).collect();
        prune(folder, &there);
        *known = now;
    }

    /// Makes what is below `out` in the bucket what `folder` is.
    pub(crate) fn put_output(&self, folder: &Path) {
        let now = files(folder, "out");
        for key in self.s3.list(BUCKET, "out/").keys().filter(|key| !now.contains_key(*key)) {
            self.s3.delete_object(BUCKET, key);
        }
        for (key, bytes) in now {
            if self.s3.object(BUCKET, &key).as_ref() != Some(&bytes) {
                self.s3.put_object(BUCKET, &key, &bytes);
            }
        }
    }
}

/// The files below a folder, by the keys that they have below `prefix`.
fn files(folder: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        let key = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            found.extend(files(&path, &key));
        } else {
            found.insert(key, std::fs::read(path).unwrap());
        }
    }
    found
}

/// Removes files that are not wanted, and folders that are empty then.
fn prune(folder: &Path, wanted: &BTreeSet<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            prune(&path, wanted);
        } else if !wanted.contains(&path) {
            std::fs::remove_file(path).unwrap();
        }
    }
    // One that is not empty stays.
    let _ = std::fs::remove_dir(folder);
}
