//! Tests which bodies are accepted, how others are refused, and that a refusal affects nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use crate::collector::{JSON, PROTOBUF, RunningCollector, assert_accepted, request};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn protobuf_json_and_gzip_are_stored_unchanged() {
    let collector = RunningCollector::start();
    let sent = request("shop", 0, 30);
    let of = |first, count| request("shop", first, count);
    collector.send(&of(0, 10));
    assert_accepted(collector.post(JSON, serde_json::to_vec(&of(10, 5)).unwrap()).send().unwrap());
    let packed = gzip(&of(15, 5).encode_to_vec());
    assert_accepted(collector.post(PROTOBUF, packed).header("content-encoding", "gzip").send().unwrap());
    let packed = gzip(&serde_json::to_vec(&of(20, 10)).unwrap());
    let json =
        collector.post("Application/JSON; charset=utf-8", packed).header("content-encoding", "gzip").send().unwrap();
    assert_eq!(json.headers()["content-type"].to_str().unwrap(), JSON);
    assert_eq!(json.text().unwrap(), "{}");
    assert_eq!(collector.spans(), sent.resource_spans[0].scope_spans[0].spans);
}

#[test]
fn invalid_bodies_are_refused_and_others_accepted() {
    let collector = RunningCollector::start();
    let megabytes = |count: usize| vec![b' '; count << 20];
    // Two bytes each, which take hundreds when they are decoded.
    let empty_spans = {
        let spans = [0x12, 0x00].repeat(4 << 20);
        let scope = [&[0x12][..], &varint(spans.len()), &spans].concat();
        [&[0x0a][..], &varint(scope.len()), &scope].concat()
    };
    let empty_keys = {
        let keys = [0x1a, 0x00].repeat(4 << 20);
        // An entity, in a resource, in the resource's spans.
        [0x1a, 0x0a, 0x0a].iter().fold(keys, |inner, tag| [&[*tag][..], &varint(inner.len()), &inner].concat())
    };
    let many_keys = format!(
        r#"{{"resourceSpans":[{{"resource":{{"entityRefs":[{{"idKeys":[{}""]}}]}}}}]}}"#,
        r#""","#.repeat(4 << 20)
    );
    let many_objects = format!(r#"{{"resourceSpans":[{}{{}}]}}"#, "{},".repeat(1 << 20));
    let deep = format!(r#"{{"resourceSpans":{}"#, "[".repeat(100_000));
    let cases: [(&str, &str, Vec<u8>, u16); 15] = [
        ("50 MB", JSON, megabytes(50), 413),
        ("a gzip bomb", "gzip", gzip(&megabytes(200)), 413),
        ("a broken gzip", "gzip", b"not gzip".to_vec(), 400),
        ("an unknown encoding", "br", b"x".to_vec(), 415),
        ("an image", "image/png", b"x".to_vec(), 415),
        ("text", "text/plain", b"x".to_vec(), 400),
        ("no type", "", b"x".to_vec(), 415),
        ("no JSON", JSON, b"{".to_vec(), 400),
        ("JSON of another kind", JSON, br#"{"resourceSpans":7}"#.to_vec(), 400),
        ("no protobuf", PROTOBUF, b"zzz".to_vec(), 400),
        ("empty spans by the million", PROTOBUF, empty_spans, 413),
        ("keys by the million", PROTOBUF, empty_keys, 413),
        ("keys by the million in JSON", JSON, many_keys.into_bytes(), 413),
        ("objects by the million", JSON, many_objects.into_bytes(), 413),
        ("JSON that is deep", JSON, deep.into_bytes(), 400),
    ];
    for (what, kind, body, status) in cases {
        let request = match kind {
            "gzip" | "br" => collector.post(JSON, body).header("content-encoding", kind),
            _ => collector.post(kind, body),
        };
        let response = request.send().unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(response.status().as_u16(), status, "{what}");
        assert!(!response.bytes().unwrap().is_empty(), "{what} has its reason");
    }
    let get = collector.client.get(format!("{}/v1/traces", collector.endpoint)).send().unwrap();
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(
        collector.client.post(format!("{}/v1/trace", collector.endpoint)).send().unwrap().status().as_u16(),
        404
    );

    collector.send(&request("shop", 0, 3));
    assert_eq!(collector.spans().len(), 3);
    let (code, messages, _) = collector.stop();
    assert!(code == 0 && messages.contains("3 spans in "), "{messages}");
    let first = "navtrace: a request can't be read, and its spans are not kept: the body has more than 16 MiB: send smaller batches\n";
    assert!(messages.starts_with(first), "{messages}");
    assert_eq!(messages.matches("can't be read").count(), 1, "{messages}");
    assert!(messages.contains("navtrace: 15 requests could not be read, and their spans are not in "), "{messages}");
}

/// Encodes a length as protobuf does.
fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(std::mem::take(&mut value) as u64, &mut bytes);
    bytes
}

#[test]
fn a_refusal_has_the_format_of_the_request() {
    let collector = RunningCollector::start();
    let json = collector.post(JSON, b"{".to_vec()).send().unwrap();
    assert_eq!(json.headers()["content-type"].to_str().unwrap(), JSON);
    let status: serde_json::Value = serde_json::from_str(&json.text().unwrap()).unwrap();
    assert_eq!(status["code"], 3);
    let protobuf = collector.post(PROTOBUF, b"zzz".to_vec()).send().unwrap();
    assert!(status["message"].as_str().unwrap().starts_with("the body is not valid OTLP: "), "{status}");
    assert_eq!(protobuf.headers()["content-type"].to_str().unwrap(), PROTOBUF);
    let status = tonic_types::Status::decode(protobuf.bytes().unwrap()).unwrap();
    assert!(status.code == 3 && status.message.starts_with("the body is not valid OTLP: "), "{status:?}");
}

#[test]
fn spans_without_an_id_are_rejected_and_others_stored() {
    let collector = RunningCollector::start();
    let mut mixed = request("shop", 0, 3);
    mixed.resource_spans[0].scope_spans[0].spans[1].trace_id = vec![0; 16];
    let response = collector.post(JSON, serde_json::to_vec(&mixed).unwrap()).send().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&response.text().unwrap()).unwrap();
    assert!(answer["partialSuccess"]["rejectedSpans"].to_string().contains('1'), "{answer}");
    assert_eq!(collector.spans().len(), 2);
    let (code, messages, _) = collector.stop();
    assert!(code == 0 && messages.contains("navtrace: 1 span could not be read and is not in "), "{messages}");
}

#[test]
fn unfinished_connections_delay_nobody() {
    let collector = RunningCollector::start();
    let address = collector.endpoint.strip_prefix("http://").unwrap();
    let head =
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n";
    let begins = [
        String::new(),
        "POST /v1/traces HTTP/1.1\r\nHost".to_owned(),
        head.to_owned(),
        format!("{head}{}", " ".repeat(900_000)),
    ];
    let open: Vec<TcpStream> = (0..40)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(begins[number % begins.len()].as_bytes()).unwrap();
            stream
        })
        .collect();
    for first in 0..20 {
        collector.send(&request("shop", first, 1));
    }
    assert_eq!(collector.spans().len(), 20);
    // In the end they get an error or are closed.
    let deadline = Instant::now() + Duration::from_secs(60);
    for mut stream in open {
        stream.set_read_timeout(Some(deadline.saturating_duration_since(Instant::now()))).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 503"),
            "{answer}"
        );
    }
}

#[test]
fn metrics_and_logs_are_dropped_with_one_message() {
    let collector = RunningCollector::start();
    for path in ["metrics", "logs", "metrics"] {
        let request = collector.client.post(format!("{}/v1/{path}", collector.endpoint));
        assert_accepted(request.header("content-type", PROTOBUF).body("anything").send().unwrap());
    }
    let (code, messages, _) = collector.stop();
    assert_eq!(code, 0);
    let expected =
        "navtrace: metrics or logs arrived, which are not kept: navtrace collects traces\nnavtrace: no span arrived\n";
    assert_eq!(messages, expected);
}
