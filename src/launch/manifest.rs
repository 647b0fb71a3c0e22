//! The host manifest, which tells Chromium the program to start when the extension asks for its host. Pure.
//!
//! <https://developer.chrome.com/docs/extensions/develop/concepts/native-messaging#native-messaging-host>

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::launch::extension;

/// The name by which the extension asks for the host.
pub(crate) const HOST_NAME: &str = "dev.navtrace.host";

/// The folder in a user data directory where Chromium looks for host manifests.
pub(crate) const PROFILE_FOLDER: &str = "NativeMessagingHosts";

/// The largest manifest that is read, in bytes.
pub(crate) const MAX_SIZE: u64 = 64 * 1024;

/// Renders the host manifest for the program at `binary`, an absolute path. Returns `None` if the path is not UTF-8.
pub(crate) fn render(binary: &Path) -> Option<String> {
    let manifest = json!({
        "name": HOST_NAME,
        "description": "navtrace: trace context for every request of the browser",
        "path": binary.to_str()?,
        "type": "stdio",
        "allowed_origins": [extension::ORIGIN],
    });
    Some(format!("{manifest:#}\n"))
}

/// Returns the program that a host manifest names, if it has navtrace's host name and serves navtrace's extension alone.
pub(crate) fn program(manifest: &[u8]) -> Option<PathBuf> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let ours = manifest["name"] == HOST_NAME && manifest["allowed_origins"] == json!([extension::ORIGIN]);
    manifest["path"].as_str().filter(|_| ours).map(PathBuf::from)
}

pub(crate) fn file_name() -> String {
    format!("{HOST_NAME}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_has_the_form_that_chrome_reads() {
        insta::assert_snapshot!(render(Path::new("/opt/näv trace/navtrace")).unwrap(), @r#"
        {
          "allowed_origins": [
            "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/"
          ],
          "description": "navtrace: trace context for every request of the browser",
          "name": "dev.navtrace.host",
          "path": "/opt/näv trace/navtrace",
          "type": "stdio"
        }
        "#);
    }

    #[test]
    fn only_navtraces_own_manifest_names_a_program() {
        let binary = Path::new("/opt/näv trace/navtrace");
        let ours = render(binary).unwrap();
        assert_eq!(program(ours.as_bytes()), Some(binary.into()));
        for (text, by) in [
            (HOST_NAME, "com.example.host"),
            ("[\n    \"chrome", "[\"chrome-extension://other/\",\n    \"chrome"),
            ("\"path\"", "\"paths\""),
            ("{", "["),
        ] {
            assert!(ours.contains(text), "{text}");
            assert_eq!(program(ours.replacen(text, by, 1).as_bytes()), None, "{by}");
        }
        assert_eq!(program(b"[]"), None);
    }
}
