//! The host manifest: how Chromium learns which program to start when the extension asks for its host. Pure.
//!
//! <https://developer.chrome.com/docs/extensions/develop/concepts/native-messaging#native-messaging-host>

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::launch::extension;

/// The host's name, by which the extension asks for it.
pub(crate) const HOST_NAME: &str = "dev.navtrace.host";

/// The folder below a profile where Chromium looks for host manifests.
pub(crate) const PROFILE_FOLDER: &str = "NativeMessagingHosts";

/// The most bytes that a manifest has.
pub(crate) const LIMIT: u64 = 64 * 1024;

/// Renders the host manifest for the program at `binary`, an absolute path.
///
/// `None` when the path is not UTF-8, which JSON can't carry.
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

/// Reads which program a host manifest names, if the manifest is navtrace's: it has navtrace's name and serves navtrace's extension alone.
pub(crate) fn program(manifest: &[u8]) -> Option<PathBuf> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let ours = manifest["name"] == HOST_NAME && manifest["allowed_origins"] == json!([extension::ORIGIN]);
    manifest["path"].as_str().filter(|_| ours).map(PathBuf::from)
}

/// Gives the manifest's file name.
pub(crate) fn file_name() -> String {
    format!("{HOST_NAME}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_as_chrome_reads_it() {
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
    fn one_of_navtraces_is_told_from_others() {
        let binary = Path::new("/opt/näv trace/navtrace");
        let ours = render(binary).unwrap();
        assert_eq!(program(ours.as_bytes()), Some(binary.into()));
        for (what, by) in [
            (HOST_NAME, "com.example.host"),
            ("[\n    \"chrome", "[\"chrome-extension://other/\",\n    \"chrome"),
            ("\"path\"", "\"paths\""),
            ("{", "["),
        ] {
            assert!(ours.contains(what), "{what}");
            assert_eq!(program(ours.replacen(what, by, 1).as_bytes()), None, "{by}");
        }
        assert_eq!(program(b"[]"), None);
    }
}
