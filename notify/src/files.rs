//! Report files: replaced as a whole, or added to line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nightshift_storage::location::local_path;

use crate::error::NotTold;

/// Puts `bytes` at `directory`/`name` in one step: whoever reads the file sees all of it or what
/// was there before. Blocks.
pub(crate) fn replace(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), NotTold> {
    let path = directory.join(name);
    // Of this process alone, so that two that report the same run do not mix their bytes.
    let draft = directory.join(format!(".{name}.{}", std::process::id()));
    let written = || -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, &path)
    };
    written().map_err(|source| NotTold::File { path, source })
}

/// Adds `line` at the end of the file at `place`, with one write, so that lines of several
/// processes do not mix. Blocks.
pub(crate) fn append(place: &str, line: &[u8]) -> Result<(), NotTold> {
    let path: PathBuf = local_path(place).map_err(NotTold::Place)?;
    let written = || -> io::Result<()> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut bytes = Vec::with_capacity(line.len() + 2);
        if ends_in_a_line(&path)? {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(&bytes)?;
        file.sync_data()
    };
    written().map_err(|source| NotTold::File { path: path.clone(), source })
}

/// Whether the file ends without a line break: somebody died while writing, and the next line
/// must not become part of that one.
fn ends_in_a_line(path: &Path) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_leaves_no_draft() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a b/run-1");
        for text in ["first", "second"] {
            replace(&folder, "report.json", text.as_bytes()).unwrap();
            let path = folder.join("report.json");
            assert_eq!(std::fs::read_to_string(path).unwrap(), text);
        }
        let left = std::fs::read_dir(home.path().join("a b/run-1")).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_line_that_was_torn_does_not_take_the_next_one_with_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/events.jsonl");
        let place = path.display().to_string();
        append(&place, b"one").unwrap();
        append(&place, b"two").unwrap();
        std::fs::write(&path, b"one\ntwo\ntorn").unwrap();
        append(&place, b"three").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\ntorn\nthree\n");
    }

    #[test]
    fn lines_of_many_writers_stay_whole() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("events.jsonl").display().to_string();
        std::thread::scope(|scope| {
            for writer in 0..8_u8 {
                let place = &place;
                scope.spawn(move || {
                    for _ in 0..20 {
                        append(place, &[b'a' + writer; 9_000]).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&place).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 160);
        assert!(
            lines
                .iter()
                .all(|line| line.len() == 9_000 && line.bytes().all(|b| b == line.as_bytes()[0]))
        );
    }

    #[test]
    fn what_is_no_folder_is_said() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let refused = replace(&file.join("run"), "report.json", b"x").unwrap_err();
        assert!(matches!(refused, NotTold::File { .. }), "{refused}");
        let refused = append("s3://bucket/x", b"x").unwrap_err();
        assert!(matches!(refused, NotTold::Place(_)), "{refused}");
    }
}
