//! Looks host names up in the calling thread. The usual resolvers start threads for that, and panic where a container allows no more.
//! The time limit of a request does not include the lookup, which has that of the system's resolver.

use std::future::{Ready, ready};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns;
use reqwest::dns::{Addrs, Resolve, Resolving};
use tonic::codegen::Service;

/// The resolver of both transports. Only the thread that sends waits for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver;

/// Returns the addresses of a host, with port 0.
fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.collect())
}

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let found = look_up(name.as_str()).map(|found| Box::new(found.into_iter()) as Addrs);
        Box::pin(ready(found.map_err(Into::into)))
    }
}

impl Service<dns::Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: dns::Name) -> Self::Future {
        ready(look_up(name.as_str()).map(Vec::into_iter))
    }
}

/// Returns a connector for gRPC, which adds TLS itself.
pub(super) fn connector() -> HttpConnector<Resolver> {
    let mut connector = HttpConnector::new_with_resolver(Resolver);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector
}
