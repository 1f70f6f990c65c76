//! Keys from the profile file of AWS, which the client does not read by itself.
//!
//! The file is read again when it has changed, so that keys may be rotated while a run goes on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use nightshift_core::place::BucketKind;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::plain::Told;

/// Largest profile file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A profile of a file.
#[derive(Debug)]
pub(super) struct Profile {
    file: PathBuf,
    name: String,
    known: Mutex<Option<(SystemTime, Arc<AwsCredential>)>>,
}

impl Profile {
    /// The profile that the environment names, unless it holds keys or names another source of
    /// them; none where the file has no keys of it.
    pub(super) fn from_env() -> Option<Self> {
        let elsewhere = [
            "AWS_ACCESS_KEY_ID",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ];
        if elsewhere.iter().any(|name| std::env::var_os(name).is_some()) {
            return None;
        }
        let file =
            std::env::var_os("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(|| {
                std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"))
            })?;
        let name = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
        let profile = Self { file, name, known: Mutex::default() };
        profile.read().is_some().then_some(profile)
    }

    /// The keys as the file has them now. Blocks for the read of a small file.
    fn read(&self) -> Option<Arc<AwsCredential>> {
        let found = std::fs::metadata(&self.file).ok()?;
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read_at, keys)) = &*known
            && *read_at == modified
        {
            return Some(Arc::clone(keys));
        }
        if found.len() > FILE_BYTES_MAX {
            return None;
        }
        let text = std::fs::read_to_string(&self.file).ok()?;
        let keys = Arc::new(keys_of(&text, &self.name)?);
        *known = Some((modified, Arc::clone(&keys)));
        Some(keys)
    }
}

#[async_trait]
impl CredentialProvider for Profile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.read().ok_or_else(|| {
            let text = format!("{} has no keys of profile {}", self.file.display(), self.name);
            Told::Silent { text }.into_store(BucketKind::S3)
        })
    }
}

/// The keys of one profile.
fn keys_of(text: &str, name: &str) -> Option<AwsCredential> {
    let mut inside = false;
    let (mut key_id, mut secret_key, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let section = section.trim();
            inside = section.strip_prefix("profile ").unwrap_or(section).trim() == name;
        } else if inside && let Some((key, value)) = line.split_once('=') {
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match key.trim() {
                "aws_access_key_id" => key_id = value,
                "aws_secret_access_key" => secret_key = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    Some(AwsCredential { key_id: key_id?, secret_key: secret_key?, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n# c\n[other]\naws_access_key_id=C\naws_secret_access_key=D\naws_session_token=E\n[half]\naws_access_key_id=F\n";

    #[test]
    fn keys_are_those_of_the_profile() {
        let keys = keys_of(FILE, "default").unwrap();
        assert_eq!((keys.key_id.as_str(), keys.secret_key.as_str(), keys.token), ("A", "B", None));
        assert_eq!(keys_of(FILE, "other").unwrap().token.as_deref(), Some("E"));
        assert!(keys_of(FILE, "half").is_none());
        assert!(keys_of(FILE, "none").is_none());
    }

    #[test]
    fn a_file_that_was_written_again_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_path_buf();
        let profile =
            Profile { file: path.clone(), name: "default".into(), known: Mutex::default() };
        let write = |key: &str, at: u64| {
            let text = format!("[default]\naws_access_key_id={key}\naws_secret_access_key=x\n");
            std::fs::write(&path, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        };
        write("old", 1);
        assert_eq!(profile.read().unwrap().key_id, "old");
        write("new", 2);
        assert_eq!(profile.read().unwrap().key_id, "new");
    }
}
