//! OTLP over gRPC: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::base::text::shortened;
use crate::export::options::Endpoint;
use crate::export::root_cause;
use crate::export::transport::{Answer, MAX_ERROR_TEXT, accepted, read_pem, resolve};

pub(super) struct GrpcClient {
    collector: tonic::transport::Endpoint,
    gzip: bool,
    metadata: MetadataMap,
}

impl GrpcClient {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        let mut metadata = MetadataMap::new();
        for (name, value) in &endpoint.headers {
            let pair =
                MetadataKey::from_bytes(name.to_lowercase().as_bytes()).ok().zip(MetadataValue::try_from(value).ok());
            let (name, value) = pair.ok_or_else(|| format!("the header {name} can't be sent"))?;
            metadata.insert(name, value);
        }
        let unusable = |error| format!("{} can't be used: {}", endpoint.name(), root_cause(&error));
        let mut collector = Channel::from_shared(endpoint.url.to_string())
            .map_err(|error| format!("{} can't be used: {error}", endpoint.name()))?
            .user_agent(concat!("OTel-OTLP-Exporter-navtrace/", env!("CARGO_PKG_VERSION")))
            .map_err(unusable)?;
        if let Some(timeout) = endpoint.timeout {
            collector = collector.connect_timeout(timeout).timeout(timeout);
        }
        if endpoint.url.scheme() == "https" {
            let mut config = ClientTlsConfig::new().with_native_roots();
            if let Some(path) = &endpoint.certificate {
                config = config.ca_certificate(Certificate::from_pem(read_pem(path)?));
            }
            if let Some((certificate, key)) = &endpoint.client {
                config = config.identity(Identity::from_pem(read_pem(certificate)?, read_pem(key)?));
            }
            collector = collector.tls_config(config).map_err(unusable)?;
        }
        Ok(Self { collector, gzip: endpoint.gzip, metadata })
    }

    pub(super) async fn send(&self, request: ExportTraceServiceRequest) -> Answer {
        // Each request has its own connection: requests are seconds apart, and an open channel needs a runtime that never stops.
        let channel = match self.collector.connect_with_connector(resolve::connector()).await {
            Ok(channel) => channel,
            Err(error) => return Answer::Unavailable { reason: root_cause(&error), retry_after: None },
        };
        let mut client = TraceServiceClient::new(channel);
        if self.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let request = Request::from_parts(self.metadata.clone(), tonic::Extensions::default(), request);
        match client.export(request).await {
            Ok(response) => accepted(response.into_inner()),
            Err(status) => answer(&status),
        }
    }
}

/// Maps a status to an answer by the specification's table of retryable codes.
fn answer(status: &Status) -> Answer {
    let retry_after: Option<Duration> = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let reason = format!("{:?}: {}", status.code(), shortened(status.message(), MAX_ERROR_TEXT));
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Answer::Unavailable { reason, retry_after },
        Code::ResourceExhausted if retry_after.is_some() => Answer::Unavailable { reason, retry_after },
        Code::InvalidArgument => Answer::Refused(reason),
        // An error of the connection and not the collector's.
        Code::Unknown if std::error::Error::source(status).is_some() => Answer::Unavailable { reason, retry_after },
        code => Answer::Failed { kind: format!("{code:?}"), reason },
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn status_codes_are_mapped_as_specified() {
        let again = |code| matches!(answer(&Status::new(code, "x")), Answer::Unavailable { retry_after: None, .. });
        for code in [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ] {
            assert!(again(code), "{code:?}");
        }
        for code in [
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::Internal,
            Code::Unimplemented,
            Code::ResourceExhausted,
        ] {
            let kind = format!("{code:?}");
            let reason = format!("{kind}: x");
            assert_eq!(answer(&Status::new(code, "x")), Answer::Failed { kind, reason });
        }
        assert_eq!(answer(&Status::invalid_argument("x")), Answer::Refused("InvalidArgument: x".to_owned()));
    }

    #[test]
    fn the_retry_delay_of_a_status_is_returned() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let status = Status::with_error_details(Code::ResourceExhausted, "busy", details);
        let reason = "ResourceExhausted: busy".to_owned();
        assert_eq!(answer(&status), Answer::Unavailable { reason, retry_after: Some(Duration::from_secs(3)) });
    }
}
