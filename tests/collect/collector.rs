//! Runs `navtrace collect` and sends spans to it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::blocking::{Client, RequestBuilder, Response};

use crate::navtrace::Environment;

/// Media types of OTLP.
pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

pub(crate) struct RunningCollector {
    pub(crate) environment: Environment,
    pub(crate) endpoint: String,
    pub(crate) client: Client,
    pub(crate) child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl RunningCollector {
    /// Starts a collector that writes to [`RunningCollector::output`].
    pub(crate) fn start() -> Self {
        let environment = Environment::new();
        let output = environment.home().join("traces.jsonl");
        let mut command = environment.navtrace(["collect", "--listen", "127.0.0.1:0", "--output"]);
        command.arg(output);
        Self::start_command(environment, command)
    }

    /// Starts a command that is a collector.
    pub(crate) fn start_command(environment: Environment, mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let rest = line.strip_prefix("navtrace: spans are collected at ").unwrap_or_else(|| panic!("{line}"));
        let endpoint = rest.split_whitespace().next().unwrap().to_owned();
        // navtrace's features of reqwest need this also for plain HTTP. Another test may have done it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { environment, endpoint, client, child, stderr }
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.environment.home().join("traces.jsonl")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn post(&self, content_type: &str, body: Vec<u8>) -> RequestBuilder {
        let request = self.client.post(format!("{}/v1/traces", self.endpoint));
        request.header("content-type", content_type).body(body)
    }

    /// Sends spans as protobuf, and asserts that the collector accepts them.
    pub(crate) fn send(&self, request: &ExportTraceServiceRequest) {
        assert_accepted(self.post(PROTOBUF, request.encode_to_vec()).send().unwrap());
    }

    /// Interrupts the collector, as Ctrl-C does. Returns its exit code and standard error after the first line.
    pub(crate) fn stop(mut self) -> (i32, String, Environment) {
        let killed = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        let environment = std::mem::replace(&mut self.environment, Environment::new());
        (code, stderr, environment)
    }

    /// Interrupts the collector, and returns the peak of its memory from then on, in KiB, and its messages.
    pub(crate) fn peak_at_its_end(self) -> (u64, String, Environment) {
        // What the system counts for a child that has ended includes the memory of this process, as it was when the child was started.
        let status = format!("/proc/{}/status", self.pid());
        // Forgets the peak while spans were received.
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
        let sampler = std::thread::spawn(move || {
            let mut peak = 0;
            while let Some(kib) = fs::read_to_string(&status).ok().and_then(|text| peak_in(&text)) {
                peak = kib;
                std::thread::sleep(Duration::from_millis(1));
            }
            peak
        });
        let (code, stderr, environment) = self.stop();
        assert_eq!(code, 0, "{stderr}");
        (sampler.join().unwrap(), stderr, environment)
    }

    /// Returns the spans in the file.
    pub(crate) fn spans(&self) -> Vec<Span> {
        spans(&fs::read_to_string(self.output()).unwrap())
    }
}

impl Drop for RunningCollector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a shell that starts a collector with `"$0" "$@"`, whose file is in the environment's home.
pub(crate) fn by_shell(environment: &Environment, script: &str) -> Command {
    let mut navtrace = environment.navtrace(["collect", "--listen", "127.0.0.1:0", "--output"]);
    navtrace.arg(environment.home().join("traces.jsonl"));
    shell_of(&navtrace, script)
}

/// Returns a shell that starts a command with `"$0" "$@"`.
pub(crate) fn shell_of(command: &Command, script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Returns the peak of a process's memory in KiB. One that has ended has none.
fn peak_in(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// Returns the spans of OTLP JSON lines.
pub(crate) fn spans(text: &str) -> Vec<Span> {
    let read = |line: &str| serde_json::from_str::<ExportTraceServiceRequest>(line).unwrap();
    let scopes = text.lines().map(read).flat_map(|line| line.resource_spans).flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

pub(crate) fn assert_accepted(response: Response) {
    let status = response.status();
    let body = response.bytes().unwrap();
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
}

/// Returns an attribute.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

/// Returns `count` spans of one trace, numbered from `first`.
pub(crate) fn request(service: &str, first: usize, count: usize) -> ExportTraceServiceRequest {
    let span = |number: usize| Span {
        trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes().to_vec(),
        span_id: (number as u64 + 1).to_be_bytes().to_vec(),
        parent_span_id: if number == 0 { Vec::new() } else { 1_u64.to_be_bytes().to_vec() },
        name: "GET".to_owned(),
        kind: 3,
        start_time_unix_nano: 1_700_000_000_000_000_000 + number as u64,
        end_time_unix_nano: 1_700_000_001_000_000_000 + number as u64,
        attributes: (0..10).map(|n| text(&format!("attribute.{n}"), "http://shop.test/of/some/length")).collect(),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (first..first + count).map(span).collect(), ..ScopeSpans::default() };
    let resource = Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope],
            ..ResourceSpans::default()
        }],
    }
}
