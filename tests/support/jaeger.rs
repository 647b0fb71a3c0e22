//! Runs a real Jaeger and asks it for traces: an export works if a trace viewer shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::Client;
use serde::Deserialize;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::reserved_port::ReservedPort;

/// The program, which `install/lib.sh` builds.
const PROGRAM: &str = "jaeger-all-in-one";

/// Limit of the start, which takes a fraction of a second on an idle machine.
const START: Duration = Duration::from_secs(30);

/// Limit of the time until spans are there, also if a gateway waits for the rest of a trace.
const ARRIVAL: Duration = Duration::from_secs(40);

const PAUSE: Duration = Duration::from_millis(50);

/// Start of Jaeger's warning on a span whose parent is missing.
const PARENT_WARNING: &str = "invalid parent span IDs";

/// A running Jaeger, which stores spans in memory and is killed when it is dropped.
#[derive(Debug)]
pub struct Jaeger {
    child: Child,
    log: NamedTempFile,
    ports: Ports,
    client: Client,
}

#[derive(Debug)]
struct Ports {
    http: ReservedPort,
    grpc: ReservedPort,
    query: ReservedPort,
}

impl Jaeger {
    /// Starts Jaeger on loopback ports of its own and waits until it answers.
    pub fn start() -> Self {
        let mut jaeger = Self::spawn();
        assert!(jaeger.is_ready(), "{PROGRAM} did not start:\n{}", jaeger.log());
        jaeger
    }

    /// Returns the base URL for OTLP over HTTP, such as `http://127.0.0.1:4318`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.ports.http.address())
    }

    /// Returns the URL for OTLP over gRPC, such as `http://127.0.0.1:4317`.
    pub fn grpc_endpoint(&self) -> String {
        format!("http://{}", self.ports.grpc.address())
    }

    /// Returns the spans of a trace that are there by now, possibly none.
    pub fn trace(&self, trace_id: &str) -> Trace {
        let response =
            self.get(&format!("/api/traces/{trace_id}")).unwrap_or_else(|error| panic!("{error:?}\n{}", self.log()));
        let status = response.status();
        let body = response.text().expect("Jaeger sends the whole answer");
        if status == StatusCode::NOT_FOUND {
            return Trace::default();
        }
        assert_eq!(status, StatusCode::OK, "{trace_id}: {body}");
        let mut answer: json::Answer = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(answer.data.len(), 1, "{body}");
        Trace::from(answer.data.remove(0))
    }

    /// Returns a trace as the JSON that Jaeger's page offers for download.
    pub fn export(&self, trace_id: &str) -> String {
        let response = self.get(&format!("/api/traces/{trace_id}")).and_then(reqwest::blocking::Response::text);
        response.unwrap_or_else(|error| panic!("{error:?}\n{}", self.log()))
    }

    /// Waits until a trace satisfies `ready`, and returns it.
    pub fn wait_for(&self, trace_id: &str, ready: impl Fn(&Trace) -> bool) -> Trace {
        let deadline = Instant::now() + ARRIVAL;
        loop {
            let trace = self.trace(trace_id);
            if ready(&trace) {
                return trace;
            }
            assert!(Instant::now() < deadline, "after {ARRIVAL:?}, Jaeger has of {trace_id}: {trace:#?}");
            std::thread::sleep(PAUSE);
        }
    }

    fn spawn() -> Self {
        let [http, grpc, query] = [(); 3].map(|()| ReservedPort::new());
        let ports = Ports { http, grpc, query };
        let log = NamedTempFile::new().expect("a temporary file can be made");
        let output = || Stdio::from(File::options().append(true).open(log.path()).expect("the log can be opened"));
        let mut command = Command::new(PROGRAM);
        // Jaeger reads settings from variables too, and with OpenTelemetry's it would export its own spans.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("SPAN_STORAGE_TYPE", "memory");
        // These are all listeners. Those that no test uses take any port.
        for (listener, port) in [
            ("collector.otlp.http", ports.http.number()),
            ("collector.otlp.grpc", ports.grpc.number()),
            ("collector.http-server", 0),
            ("collector.grpc-server", 0),
            ("query.http-server", ports.query.number()),
            ("query.grpc-server", 0),
            ("admin.http", 0),
        ] {
            command.arg(format!("--{listener}.host-port=127.0.0.1:{port}"));
        }
        let child = command.stdin(Stdio::null()).stdout(output()).stderr(output()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{PROGRAM}, which tests/run.sh puts on PATH: {error}"));
        // navtrace's features of reqwest need this also for plain HTTP. Another test may have done it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(ARRIVAL).build().expect("an HTTP client");
        Self { child, log, ports, client }
    }

    /// Waits until Jaeger answers and listens everywhere. Returns false if it has ended or is too slow.
    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            let answers = self.get("/api/services").is_ok_and(|response| response.status() == StatusCode::OK);
            let ended = self.child.try_wait().expect("a child can be waited for").is_some();
            if ended {
                return false;
            }
            if answers && listens(self.ports.http.address()) && listens(self.ports.grpc.address()) {
                return true;
            }
            std::thread::sleep(PAUSE);
        }
        false
    }

    fn get(&self, path: &str) -> reqwest::Result<reqwest::blocking::Response> {
        self.client.get(format!("http://{}{path}", self.ports.query.address())).send()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Jaeger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, PAUSE).is_ok()
}

/// A trace as Jaeger shows it.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// In the order of their starts.
    pub spans: Vec<Span>,
}

/// A span as Jaeger shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The id of the parent in the same trace, which may be missing in Jaeger.
    pub parent: Option<String>,
    /// `service.name` of the resource.
    pub service: String,
    pub name: String,
    /// `client`, `server`, `internal`, ..., empty if unknown.
    pub kind: String,
    /// Microseconds since 1970.
    pub start_us: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// The attributes, and tags that Jaeger derives: `span.kind`, `otel.status_code`, `error`, ...
    pub tags: BTreeMap<String, Value>,
    /// The events, each with its time in microseconds since 1970. The field `event` is its name.
    pub logs: Vec<(u64, BTreeMap<String, Value>)>,
    /// Problems that Jaeger found.
    pub warnings: Vec<String>,
}

impl Trace {
    /// Returns the spans without a parent.
    pub fn roots(&self) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.parent.is_none()).collect()
    }

    /// Returns the spans whose parent is not in the trace, or of which Jaeger says so.
    pub fn missing_parents(&self) -> Vec<&Span> {
        let ids: BTreeSet<&str> = self.spans.iter().map(|span| span.id.as_str()).collect();
        let is_missing = |span: &&Span| {
            let absent = span.parent.as_deref().is_some_and(|parent| !ids.contains(parent));
            absent || span.warnings.iter().any(|warning| warning.starts_with(PARENT_WARNING))
        };
        self.spans.iter().filter(is_missing).collect()
    }

    /// Returns the spans whose parent is `id`.
    pub fn children(&self, id: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.parent.as_deref() == Some(id)).collect()
    }

    /// Returns the spans of one service.
    pub fn by_service(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.service == name).collect()
    }
}

impl From<json::Trace> for Trace {
    fn from(trace: json::Trace) -> Self {
        let mut spans: Vec<Span> = trace.spans.into_iter().map(|span| Span::of(span, &trace.processes)).collect();
        spans.sort_by_key(|span| span.start_us);
        Self { spans }
    }
}

impl Span {
    fn of(span: json::Span, processes: &BTreeMap<String, json::Process>) -> Self {
        let tags = json::fields(span.tags);
        let is_parent =
            |reference: &&json::Reference| reference.kind == "CHILD_OF" && reference.trace_id == span.trace_id;
        Self {
            parent: span.references.iter().find(is_parent).map(|reference| reference.span_id.clone()),
            service: processes[&span.process_id].service_name.clone(),
            kind: tags.get("span.kind").and_then(Value::as_str).unwrap_or_default().to_owned(),
            logs: span.logs.into_iter().map(|log| (log.timestamp, json::fields(log.fields))).collect(),
            id: span.id,
            name: span.operation_name,
            start_us: span.start_time,
            duration_us: span.duration,
            tags,
            warnings: span.warnings.unwrap_or_default(),
        }
    }
}

/// The JSON of Jaeger's query API.
mod json {
    use super::{BTreeMap, Deserialize, Value};

    #[derive(Deserialize)]
    pub(super) struct Answer {
        pub(super) data: Vec<Trace>,
    }

    #[derive(Deserialize)]
    pub(super) struct Trace {
        pub(super) spans: Vec<Span>,
        pub(super) processes: BTreeMap<String, Process>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Process {
        pub(super) service_name: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Span {
        #[serde(rename = "traceID")]
        pub(super) trace_id: String,
        #[serde(rename = "spanID")]
        pub(super) id: String,
        #[serde(rename = "processID")]
        pub(super) process_id: String,
        pub(super) operation_name: String,
        pub(super) references: Vec<Reference>,
        pub(super) start_time: u64,
        pub(super) duration: u64,
        pub(super) tags: Vec<Field>,
        pub(super) logs: Vec<Log>,
        pub(super) warnings: Option<Vec<String>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Reference {
        #[serde(rename = "refType")]
        pub(super) kind: String,
        #[serde(rename = "traceID")]
        pub(super) trace_id: String,
        #[serde(rename = "spanID")]
        pub(super) span_id: String,
    }

    #[derive(Deserialize)]
    pub(super) struct Log {
        pub(super) timestamp: u64,
        pub(super) fields: Vec<Field>,
    }

    #[derive(Deserialize)]
    pub(super) struct Field {
        key: String,
        value: Value,
    }

    pub(super) fn fields(fields: Vec<Field>) -> BTreeMap<String, Value> {
        fields.into_iter().map(|field| (field.key, field.value)).collect()
    }
}
