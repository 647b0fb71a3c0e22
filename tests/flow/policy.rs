//! Detailed mode without a flag: an extension that an enterprise policy installs is granted the blocking listener.
//!
//! Chromium reads policies from one place of the whole machine. The browser sees another folder there, in a mount
//! namespace of its own, so that no other browser is given the extension and nothing has to be taken back. Making the
//! namespace needs `unshare` and either root or a kernel that lets users have namespaces.

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

use crate::bench::{Bench, assert_own_spans, is_root, traceparent, turn};
use crate::browser::{Browser, wait_until};

/// Where Debian's Chromium looks for policies.
const SETTINGS: &str = "/etc/chromium";

/// The file there that says what this test wants.
const POLICY: &str = "policies/managed/navtrace.json";

/// An extension that is packed for installation.
struct Package {
    /// Follows from the key that signs it, not from the key in its manifest.
    id: String,
    version: String,
    crx: Vec<u8>,
}

impl Package {
    /// Packs a folder with a key that Chromium makes for the occasion and writes beside the package.
    fn of(folder: &Path, bench: &Bench) -> Self {
        let copy = bench.environment.home().join("packed");
        let copied = Command::new("cp").arg("-R").args([folder, &copy]).status().unwrap();
        assert!(copied.success(), "{} can be copied", folder.display());
        let output = bench
            .without_navtrace("chromium")
            .arg(format!("--pack-extension={}", copy.display()))
            .args(["--no-message-box", "--no-sandbox"])
            .output()
            .expect("chromium can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "Chromium does not pack {}: {}\n{said}", folder.display(), output.status);
        let crx = fs::read(copy.with_extension("crx")).unwrap_or_else(|error| panic!("no package: {error}\n{said}"));
        let manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(copy.join("manifest.json")).unwrap()).unwrap();
        Self { id: id(&crx), version: manifest["version"].as_str().unwrap().to_owned(), crx }
    }

    /// What Chromium asks for to learn where the package is.
    fn update_manifest(&self, origin: &str) -> String {
        let Self { id, version, .. } = self;
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\
             <gupdate xmlns='http://www.google.com/update2/response' protocol='2.0'><app appid='{id}'>\
             <updatecheck codebase='{origin}/extension.crx' version='{version}'/></app></gupdate>"
        )
    }
}

/// Reads the id out of a package: the last 16 bytes of its header, in hexadecimal digits that begin at `a`.
fn id(crx: &[u8]) -> String {
    // Magic, version and the header's length, then the header, whose fields are in the order of their numbers: the
    // signed data with the id in it has the highest.
    assert_eq!(crx[..8], *b"Cr24\x03\0\0\0", "a package of version 3");
    let length = usize::try_from(u32::from_le_bytes(crx[8..12].try_into().unwrap())).unwrap();
    let header = &crx[12..12 + length];
    let (fields, id) = header.split_at(length - 16);
    assert!(fields.ends_with(&[0x82, 0xf1, 0x04, 0x12, 0x0a, 0x10]), "the header ends with the signed data");
    id.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(b'a' + digit)).collect()
}

/// Serves a package on loopback for as long as this value lives.
struct Shelf {
    origin: String,
    asked: Arc<Mutex<Vec<String>>>,
    runtime: Option<Runtime>,
}

impl Shelf {
    fn serve(package: &Package) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let answer = |mime: &'static str, body: Vec<u8>| {
            let asked = Arc::clone(&asked);
            get(async move |uri: Uri| {
                asked.lock().unwrap().push(uri.path().to_owned());
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
        Self { origin, asked, runtime: Some(runtime) }
    }

    fn was_asked_for(&self, path: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == path)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The command of a Chromium for which the policies of this machine are that it has to install the package, and no
/// others.
fn obliged(package: &Package, shelf: &Shelf, bench: &Bench) -> Command {
    let settings = bench.environment.home().join("settings");
    let file = settings.join(POLICY);
    let wanted = format!("{};{}/update.xml", package.id, shelf.origin);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, serde_json::json!({ "ExtensionInstallForcelist": [wanted] }).to_string()).unwrap();

    let mut command = bench.without_navtrace("unshare");
    // Users may mount only where they are root, which they are in a namespace of users.
    command.arg("--mount").args((!is_root()).then_some("--map-root-user"));
    command.args(["sh", "-c", &format!("mount --bind \"$0\" {SETTINGS} && exec chromium \"$@\"")]).arg(settings);
    // As root, which it is in either namespace, Chromium starts without its sandbox only. Background networking has to
    // stay on, since Chromium installs nothing without it, so that names are kept from resolving instead.
    command.args(["--no-sandbox", "--disable-component-update"]);
    command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    command
}

#[test]
fn a_policy_grants_a_span_id_per_request() {
    let _turn = turn();
    let bench = Bench::new();
    let package = Package::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("extension"), &bench);
    let shelf = Shelf::serve(&package);
    let browser = Browser::start(obliged(&package, &shelf, &bench), &bench);

    wait_until("Chromium asks where the package is", || shelf.was_asked_for("/update.xml"));
    wait_until("Chromium fetches the package", || shelf.was_asked_for("/extension.crx"));
    let worker = format!("chrome-extension://{}/", package.id);
    wait_until("the extension is installed and its worker runs", || {
        browser.targets().is_ok_and(|targets| targets.contains(&worker))
    });
    assert!(!Path::new(SETTINGS).join(POLICY).exists(), "no other browser has the policy");
    // No host knows the package's id, so the extension goes on alone.
    browser.until_armed();

    let requests = browser.load_two_pages();
    let traces: BTreeSet<_> = requests.iter().map(|request| traceparent(request).trace_id).collect();
    assert_eq!(traces.len(), 1, "one trace: {traces:?}");
    assert_own_spans(&requests);
}
