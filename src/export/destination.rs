//! Names the collector for which spans are meant, so that spans that wait go to no other one. Pure.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::export::options::Endpoint;

/// Stands for the host of a collector that only its run knows.
const OF_RUN: &str = "run";

/// The longest host in a name, in characters. The hash tells longer ones apart.
const MAX_HOST: usize = 80;

/// The length of the hash in bytes.
const HASH: usize = 8;

/// A collector, as a part of a file's name: `HOST-HASH`. The host may have hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Destination(Box<str>);

impl Destination {
    /// Returns the destination of what is sent to an endpoint. Credentials may change, so they do not count.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        if let Some(socket) = &endpoint.run {
            return Self::new(OF_RUN, socket.as_os_str().as_encoded_bytes());
        }
        let mut url = endpoint.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        Self::new(&format!("{}{port}", url.host_str().unwrap_or_default()), url.as_str().as_bytes())
    }

    fn new(host: &str, hashed: &[u8]) -> Self {
        let in_file_name = |c: char| if c.is_ascii_alphanumeric() || ".:-".contains(c) { c } else { '_' };
        let mut name: String = host.chars().take(MAX_HOST).map(in_file_name).collect();
        name.push('-');
        for byte in &Sha256::digest(hashed)[..HASH] {
            let _ = write!(name, "{byte:02x}");
        }
        Self(name.into())
    }

    /// Reads the destination of a batch from its file's name, `TIME-PID-DESTINATION-SPANS.jsonl`. Earlier versions named none.
    pub(super) fn of_batch(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?;
        let (destination, _spans) = stem.splitn(3, '-').nth(2)?.rsplit_once('-')?;
        Some(Self(destination.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the collector's host and port, for messages.
    pub(crate) fn host(&self) -> &str {
        self.0.rsplit_once('-').map_or(&self.0, |(host, _)| host)
    }

    /// Returns whether this is the collector of a `navtrace run`, which ends with it.
    pub(super) fn is_of_run(&self) -> bool {
        self.host() == OF_RUN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Destination {
        let endpoint = Endpoint::of_collector("http://127.0.0.1:4318", Path::new("/run"));
        Destination::of(&Endpoint { url: url.parse().unwrap(), run: None, ..endpoint.unwrap() })
    }

    #[test]
    fn an_address_is_told_from_others_but_not_by_its_credentials() {
        let known = of("https://otlp.test/v1/traces");
        assert_eq!(known.host(), "otlp.test:443");
        assert_eq!(known, of("https://me:secret@otlp.test/v1/traces?key=1"));
        for other in ["http://otlp.test/v1/traces", "https://otlp.test/a", "https://otlp.test:1/v1/traces"] {
            assert_ne!(known, of(other), "{other}");
        }
        assert!(!known.is_of_run());
    }

    #[test]
    fn a_run_is_told_from_another_at_the_same_address() {
        let of_run = |socket: &str| {
            Destination::of(&Endpoint::of_collector("http://127.0.0.1:4318", Path::new(socket)).unwrap())
        };
        assert!(of_run("/tmp/a/run").is_of_run());
        assert_ne!(of_run("/tmp/a/run"), of_run("/tmp/b/run"));
        assert_ne!(of_run("/tmp/a/run"), of("http://127.0.0.1:4318/v1/traces"));
    }

    #[test]
    fn any_destination_can_be_read_from_a_file_name() {
        for url in ["http://a-b.test/", "http://[::1]:4317/", &format!("http://{}.test/", "x".repeat(200))] {
            let destination = of(url);
            let name = format!("00000000000000000001-7-{}-5.jsonl", destination.as_str());
            assert!(name.len() < 200 && !name.contains('/'), "{name}");
            assert_eq!(Destination::of_batch(Path::new(&name)), Some(destination));
        }
        assert_eq!(Destination::of_batch(Path::new("00000000000000000001-7-5.jsonl")), None);
    }
}
