//! Tests OTLP over gRPC: OpenTelemetry's own exporter, on the port for HTTP and on gRPC's own, and navtrace's exporter of the same protocol.

use std::fs;
use std::process::Command;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use crate::collector::{RunningCollector, request, spans};
use crate::navtrace::{Environment, stderr, stdout};

const EXPORTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/sdk/node/grpc.mjs");

#[test]
fn an_sdk_exports_over_grpc_to_the_port_for_http() {
    let collector = RunningCollector::start();
    for compression in ["none", "gzip"] {
        let exported = Command::new("node").args([EXPORTER, &collector.endpoint, compression]).output().unwrap();
        assert_eq!(stdout(&exported), "exported 201\nexported 201\n", "{compression}: {}", stderr(&exported));
    }
    let names: Vec<String> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names.iter().filter(|name| *name == "grpc batch 2").count(), 2);
    assert_eq!(names.len(), 4 * 201);
    // HTTP/1 goes on at the same port.
    collector.send(&request("shop", 0, 1));
    assert_eq!(collector.spans().len(), 4 * 201 + 1);
}

#[test]
fn an_sdk_without_settings_exports_to_the_port_for_grpc() {
    let environment = Environment::new();
    let output = environment.home().join("traces.jsonl");
    let browser = environment.program("chromium", "exit 9");
    // In a network of its own both ports are free.
    let script = "ip link set lo up && exec \"$@\"";
    let mut run = environment.navtrace(["run", "--output"]);
    run.arg(&output).args(["--", "env", "-u", "OTEL_EXPORTER_OTLP_ENDPOINT", "-u", "OTEL_EXPORTER_OTLP_PROTOCOL"]);
    run.args(["node", EXPORTER]);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", script, "sh"]).arg(run.get_program()).args(run.get_args());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let ran = command.env("NAVTRACE_BROWSER", browser).env_remove("OTEL_TRACES_EXPORTER").output().unwrap();
    let messages = stderr(&ran);
    assert_eq!(stdout(&ran), "exported 201\nexported 201\n", "{messages}");
    let addresses = "spans are collected at http://127.0.0.1:4318 and http://127.0.0.1:4317, ";
    assert!(messages.contains(addresses), "{messages}");
    assert_eq!(spans(&fs::read_to_string(output).unwrap()).len(), 2 * 201);
}

#[test]
fn idle_connections_over_grpc_keep_nobody_out() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let collector = RunningCollector::start();
    let mut idle = Vec::new();
    runtime.block_on(async {
        // As many as are served at once.
        for _ in 0..256 {
            let channel = tonic::transport::Channel::from_shared(collector.endpoint.clone()).unwrap();
            idle.push(TraceServiceClient::new(channel.connect().await.unwrap()));
        }
    });
    collector.send(&request("shop", 0, 1));
    // A client whose connection was closed opens another one.
    runtime.block_on(idle[0].export(request("shop", 1, 2))).unwrap();
    assert_eq!(collector.spans().len(), 3);
}

#[test]
fn answers_over_grpc_say_what_was_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let collector = RunningCollector::start();
    runtime.block_on(async {
        let channel = tonic::transport::Channel::from_shared(collector.endpoint.clone()).unwrap();
        let channel = channel.connect().await.unwrap();
        let mut client = TraceServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
        let mut mixed = request("shop", 0, 3);
        mixed.resource_spans[0].scope_spans[0].spans[1].trace_id = vec![0; 16];
        let answer = client.export(mixed).await.unwrap().into_inner();
        assert_eq!(answer.partial_success.unwrap().rejected_spans, 1);
        assert_eq!(
            client.export(ExportTraceServiceRequest::default()).await.unwrap().into_inner().partial_success,
            None
        );
        let too_large = client.export(request("shop", 0, 60_000)).await.unwrap_err();
        assert_eq!(
            (too_large.code(), too_large.message()),
            (Code::ResourceExhausted, "the body has more than 16 MiB: send smaller batches")
        );
        // What follows is not affected.
        client.export(request("shop", 3, 2)).await.unwrap();
    });
    assert_eq!(collector.spans().len(), 4);
}
