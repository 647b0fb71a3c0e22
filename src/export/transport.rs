//! Sends OTLP requests, and tells what the answer means for the spans in them.

mod grpc;
mod http;

use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tokio::runtime::{Builder, Runtime};

use crate::export::settings::{Protocol, Target};

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The collector took it.
    Accepted {
        /// Spans of it that the collector did not want.
        rejected: usize,
        /// What the collector said, of those or beside.
        message: String,
    },
    /// The collector can't use it, and never will.
    Refused(String),
    /// It may be sent again.
    Unavailable {
        /// Why.
        reason: String,
        /// How long the collector wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It must not be sent again as things are: a wrong path, a missing permission, an error in the collector.
    Failed(String),
}

/// A way to a collector.
pub(crate) struct Transport {
    client: Client,
    runtime: Runtime,
}

enum Client {
    Http(http::Client),
    Grpc(Box<grpc::Client>),
}

impl Transport {
    /// Prepares the way. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// A sentence that says which setting can't be used, or what else is in the way.
    pub(crate) fn new(target: &Target) -> Result<Self, String> {
        // Refused when it was done before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = match target.protocol {
            Protocol::Grpc => grpc::Client::new(target).map(Box::new).map(Client::Grpc)?,
            Protocol::HttpProtobuf | Protocol::HttpJson => http::Client::new(target).map(Client::Http)?,
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("spans can't be sent: {error}"))?;
        Ok(Self { client, runtime })
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn send(&self, request: ExportTraceServiceRequest) -> Answer {
        match &self.client {
            Client::Http(client) => self.runtime.block_on(client.send(&request)),
            Client::Grpc(client) => self.runtime.block_on(client.send(request)),
        }
    }
}

/// What a response of success says of the spans.
fn accepted(response: ExportTraceServiceResponse) -> Answer {
    let partial = response.partial_success.unwrap_or_default();
    Answer::Accepted { rejected: usize::try_from(partial.rejected_spans).unwrap_or(0), message: partial.error_message }
}

/// Reads a file that a setting names.
fn read_pem(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
}
