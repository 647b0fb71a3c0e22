//! Sends OTLP requests, and says what the collector's answer means for the spans in them.

mod grpc;
mod http;
mod resolve;

use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tokio::runtime::{Builder, Runtime};

use crate::base::text::shortened;
use crate::export::options::{Endpoint, Protocol};
use crate::export::transport::grpc::GrpcClient;
use crate::export::transport::http::HttpClient;

/// The most characters of a collector's error text that are shown.
const MAX_ERROR_TEXT: usize = 200;

/// The collector's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The collector accepted the request.
    Accepted {
        /// Spans of the request that the collector rejected.
        rejected: usize,
        /// The collector's explanation, or a warning.
        message: String,
    },
    /// The collector can't use the request and never will.
    Refused(String),
    /// The request may be sent again.
    Unavailable { reason: String, retry_after: Option<Duration> },
    /// The request must not be sent again by this process: a wrong path, a missing permission, an error in the collector.
    Failed {
        /// The status.
        kind: String,
        /// The status with the collector's explanation.
        reason: String,
    },
}

impl Answer {
    /// Returns how many of `count` spans the collector does not take for good; `None` if they are still to be sent.
    pub(super) fn refused_of(&self, count: usize) -> Option<usize> {
        match self {
            Self::Accepted { rejected, .. } => Some(count.min(*rejected)),
            Self::Refused(_) => Some(count),
            Self::Unavailable { .. } | Self::Failed { .. } => None,
        }
    }
}

/// A client for one collector.
pub(crate) struct Transport {
    client: Client,
    runtime: Runtime,
}

enum Client {
    Http(HttpClient),
    Grpc(Box<GrpcClient>),
}

impl Transport {
    /// Creates the client, without connecting. The error names the setting that can't be used.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        if let Some(reason) = &endpoint.unusable {
            return Err(reason.clone());
        }
        // Fails if a provider is installed already, which does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = match endpoint.protocol {
            Protocol::Grpc => GrpcClient::new(endpoint).map(Box::new).map(Client::Grpc)?,
            Protocol::HttpProtobuf | Protocol::HttpJson => HttpClient::new(endpoint).map(Client::Http)?,
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("spans can't be sent: {error}"))?;
        Ok(Self { client, runtime })
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn send(&self, request: &ExportTraceServiceRequest) -> Answer {
        match &self.client {
            Client::Http(client) => self.runtime.block_on(client.send(request)),
            Client::Grpc(client) => self.runtime.block_on(client.send(request.clone())),
        }
    }
}

fn accepted(response: ExportTraceServiceResponse) -> Answer {
    let partial = response.partial_success.unwrap_or_default();
    Answer::Accepted {
        rejected: usize::try_from(partial.rejected_spans).unwrap_or(0),
        message: shortened(&partial.error_message, MAX_ERROR_TEXT).into_owned(),
    }
}

fn read_pem(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
}
