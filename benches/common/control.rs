//! An extension that does as little as one can, to tell the cost of any extension from that of navtrace's.

use std::fs;

use tempfile::TempDir;

const MANIFEST: &str = include_str!("../../extension/manifest.json");
const HELLO: &str = include_str!("../../tests/fixtures/messages/hello.json");
const ARMED: &str = include_str!("../../tests/fixtures/messages/armed.json");

/// Writes an extension that completes the start and adds nothing to requests. It lives as long as the returned folder.
pub(crate) fn extension() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest: serde_json::Map<String, serde_json::Value> = serde_json::from_str(MANIFEST).unwrap();
    // Chromium loads no extension whose pages are missing.
    manifest.retain(|key, _| !["action", "options_ui"].contains(&key.as_str()));
    fs::write(folder.path().join("manifest.json"), serde_json::to_string(&manifest).unwrap()).unwrap();
    let worker = format!(
        "const port = chrome.runtime.connectNative('dev.navtrace.host');\n\
         port.onMessage.addListener((message) => {{\n\
           if (message.type === 'session') port.postMessage({});\n\
         }});\n\
         port.postMessage({});\n",
        ARMED.trim_end(),
        HELLO.trim_end()
    );
    fs::write(folder.path().join("service-worker.js"), worker).unwrap();
    folder
}
