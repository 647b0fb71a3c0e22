//! A minimal HTTP/1.1 client for the pricing service, with trace context on every call.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::span::Context;

const TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: u64 = 1024 * 1024;

#[derive(Clone)]
pub(crate) struct Upstream {
    address: SocketAddr,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Gets JSON from `path`, within the trace of `context`.
    pub(crate) async fn get(&self, path: &str, context: &Context) -> Result<Value> {
        match tokio::time::timeout(TIMEOUT, self.exchange(path, context)).await {
            Ok(result) => result,
            Err(elapsed) => Err(Error::new(ErrorKind::TimedOut, elapsed)),
        }
    }

    async fn exchange(&self, path: &str, context: &Context) -> Result<Value> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request(path, self.address, context).as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
        body(&answer)
    }
}

/// Returns a request that closes the connection, so the end of the connection is the end of the response.
fn request(path: &str, host: SocketAddr, context: &Context) -> String {
    let traceparent = context.traceparent;
    let tracestate = context.tracestate.as_ref().map_or_else(String::new, |value| format!("tracestate: {value}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         traceparent: {traceparent}\r\n{tracestate}\r\n"
    )
}

/// Returns the JSON of a response with status 200.
fn body(answer: &[u8]) -> Result<Value> {
    let blank = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
    let head = String::from_utf8_lossy(&answer[..blank]);
    let mut words = head.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => {}
        _ => {
            let status = head.lines().next().unwrap_or_default();
            return Err(Error::other(format!("pricing answered: {status}")));
        }
    }
    Ok(serde_json::from_slice(&answer[blank + 4..])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traceparent::TraceParent;

    #[test]
    fn sends_the_context_along() {
        let context = Context {
            traceparent: TraceParent { trace_id: 0xa, span_id: 0xb, flags: 1 },
            tracestate: Some("vendor=1".to_owned()),
        };
        let text = request("/prices", SocketAddr::from(([127, 0, 0, 1], 80)), &context);
        assert!(text.contains(
            "\r\ntraceparent: 00-0000000000000000000000000000000a-000000000000000b-01\r\n\
             tracestate: vendor=1\r\n\r\n"
        ));
    }

    #[test]
    fn reads_json_and_refuses_the_rest() {
        let good = body(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(good.ok(), Some(serde_json::json!({})));
        for bad in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\n{"]
        {
            assert!(body(bad).is_err());
        }
    }
}
