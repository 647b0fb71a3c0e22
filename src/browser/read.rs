//! Reads files of others, and no more of them than makes sense.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use serde_json::Value;

/// Reads a plain file of at most `limit` bytes.
///
/// # Errors
///
/// Whatever keeps it from being read. What is no plain file is not even opened: a pipe would be waited for.
pub(super) fn bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Reads JSON from a file of at most `limit` bytes; `None` when there is no such file.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(super) fn json(path: &Path, limit: u64) -> Result<Option<Value>, String> {
    let bytes = match bytes(path, limit) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| format!("it is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_no_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!(json(&path, 10), Ok(None));
        assert_eq!(json(&path.join("below"), 10), Ok(None));
        fs::write(&path, "[1, 2, 3 ]").unwrap();
        assert_eq!(json(&path, 10), Ok(Some(serde_json::json!([1, 2, 3]))));
        assert_eq!(json(&path, 9), Err("it has more than 9 bytes".to_owned()));
        assert_eq!(json(dir.path(), 9), Err("it is not a plain file".to_owned()));
        assert_eq!(json(Path::new("/dev/zero"), 9), Err("it is not a plain file".to_owned()));
        fs::write(&path, "{").unwrap();
        assert!(json(&path, 9).unwrap_err().starts_with("it is not JSON: EOF"));
        fs::write(&path, "[".repeat(10_000)).unwrap();
        assert!(json(&path, 10_000).unwrap_err().starts_with("it is not JSON: recursion limit"));
    }
}
