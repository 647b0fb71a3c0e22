//! Tests detailed mode without a flag: an extension that an enterprise policy installs may use the blocking listener.
//!
//! Chromium reads policies from one folder of the machine. The browser sees another folder there, in a mount namespace, so no other browser
//! gets the extension and nothing has to be undone. This needs `unshare`, and root or user namespaces.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{Uri, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::runtime::Runtime;

use crate::browser::{Browser, wait_until};
use crate::browser_test::{BrowserTest, assert_own_spans, beside_others, is_root, traceparent};

/// Folder of the settings of Debian's Chromium.
const SETTINGS: &str = "/etc/chromium";

/// Policy file in [`SETTINGS`].
const POLICY: &str = "policies/managed/navtrace.json";

/// A packed extension.
struct Package {
    /// Derived from the signing key, not from the key in the manifest.
    id: String,
    version: String,
    crx: Vec<u8>,
}

impl Package {
    /// Packs a folder with a new key, which Chromium writes beside the package.
    fn of(folder: &Path, test: &BrowserTest) -> Self {
        let copy = test.environment.home().join("packed");
        let copied = Command::new("cp").arg("-R").args([folder, &copy]).status().unwrap();
        assert!(copied.success(), "{} can be copied", folder.display());
        let output = test
            .without_navtrace("chromium")
            .arg(format!("--pack-extension={}", copy.display()))
            .args(["--no-message-box", "--no-sandbox"])
            .output()
            .expect("chromium can be started");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "Chromium does not pack {}: {}\n{log}", folder.display(), output.status);
        let crx = fs::read(copy.with_extension("crx")).unwrap_or_else(|error| panic!("no package: {error}\n{log}"));
        let manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(copy.join("manifest.json")).unwrap()).unwrap();
        Self { id: id(&crx), version: manifest["version"].as_str().unwrap().to_owned(), crx }
    }

    /// Returns the update manifest, which tells Chromium the URL of the package.
    fn update_manifest(&self, origin: &str) -> String {
        let Self { id, version, .. } = self;
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\
             <gupdate xmlns='http://www.google.com/update2/response' protocol='2.0'><app appid='{id}'>\
             <updatecheck codebase='{origin}/extension.crx' version='{version}'/></app></gupdate>"
        )
    }
}

/// Returns the id in a package: the last 16 bytes of its header, as hexadecimal digits from `a` to `p`.
fn id(crx: &[u8]) -> String {
    // Magic, version and length of the header come first. The fields of the header are sorted by number, and the signed data with the id has the
    // highest.
    assert_eq!(crx[..8], *b"Cr24\x03\0\0\0", "a package of version 3");
    let length = usize::try_from(u32::from_le_bytes(crx[8..12].try_into().unwrap())).unwrap();
    let header = &crx[12..12 + length];
    let (fields, id) = header.split_at(length - 16);
    assert!(fields.ends_with(&[0x82, 0xf1, 0x04, 0x12, 0x0a, 0x10]), "the header ends with the signed data");
    id.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(b'a' + digit)).collect()
}

/// Serves a package on a loopback port while this value lives.
struct PackageServer {
    origin: String,
    paths: Arc<Mutex<Vec<String>>>,
    runtime: Option<Runtime>,
}

impl PackageServer {
    fn serve(package: &Package) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let paths = Arc::<Mutex<Vec<String>>>::default();
        let answer = |mime: &'static str, body: Vec<u8>| {
            let paths = Arc::clone(&paths);
            get(async move |uri: Uri| {
                paths.lock().unwrap().push(uri.path().to_owned());
                ([(header::CONTENT_TYPE, mime)], body).into_response()
            })
        };
        let router = Router::new()
            .route("/update.xml", answer("text/xml", package.update_manifest(&origin).into_bytes()))
            .route("/extension.crx", answer("application/x-chrome-extension", package.crx.clone()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self { origin, paths, runtime: Some(runtime) }
    }

    fn has_served(&self, path: &str) -> bool {
        self.paths.lock().unwrap().iter().any(|paths| paths == path)
    }
}

impl Drop for PackageServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Returns a command of Chromium whose only policy is to install the package.
fn with_policy(package: &Package, server: &PackageServer, test: &BrowserTest) -> Command {
    let settings = test.environment.home().join("settings");
    let file = settings.join(POLICY);
    let wanted = format!("{};{}/update.xml", package.id, server.origin);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, serde_json::json!({ "ExtensionInstallForcelist": [wanted] }).to_string()).unwrap();

    let mut command = test.without_navtrace("unshare");
    // A user may mount only as root of a user namespace.
    command.arg("--mount").args((!is_root()).then_some("--map-root-user"));
    command.args(["sh", "-c", &format!("mount --bind \"$0\" {SETTINGS} && exec chromium \"$@\"")]).arg(settings);
    // As root, Chromium needs --no-sandbox. Background networking has to stay on, since Chromium installs nothing without it. So names must not
    // resolve.
    command.args(["--no-sandbox", "--disable-component-update"]);
    command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    command
}

#[test]
fn a_policy_grants_a_span_id_per_request() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let package = Package::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("extension"), &test);
    let server = PackageServer::serve(&package);
    let browser = Browser::start(with_policy(&package, &server, &test), &test);

    wait_until("Chromium asks where the package is", || server.has_served("/update.xml"));
    wait_until("Chromium fetches the package", || server.has_served("/extension.crx"));
    let worker = format!("chrome-extension://{}/", package.id);
    wait_until("the extension is installed and its worker runs", || {
        browser.targets().is_ok_and(|targets| targets.contains(&worker))
    });
    assert!(!Path::new(SETTINGS).join(POLICY).exists(), "no other browser has the policy");
    // The package has another id than the host accepts, so the extension works alone.
    browser.until_armed();

    let requests = browser.load_two_pages();
    let traces: BTreeSet<_> = requests.iter().map(|request| traceparent(request).trace_id).collect();
    assert_eq!(traces.len(), 1, "one trace: {traces:?}");
    assert_own_spans(&requests);
}
