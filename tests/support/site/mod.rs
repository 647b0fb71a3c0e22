//! A web site for browsers, with a record of the requests that arrived.
//!
//! Tracing works if a server receives the right headers, so the tests check the record and not the browser. The site has two origins, `main` on
//! `127.0.0.1` and `other` on `localhost`, which are cross-site although both are loopback.
//!
//! The query of every URL has labels: `kind` is the kind of request, `nav` the navigation, `run` the load of the page. Labels consist of
//! `[A-Za-z0-9._-]`. Pages drop all other characters.

mod app;
mod assets;
mod coverage;
mod generated;
mod http2;
mod media;
mod pages;
mod record;
mod server;
mod template;
mod traceparent;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::runtime::Runtime;

#[allow(unused_imports)]
pub use app::APP_REQUESTS;
#[allow(unused_imports)]
pub use coverage::{Kind, PageResults, coverage_kinds, coverage_table};
#[allow(unused_imports)]
pub use http2::ACCEPTING;
pub use record::{Origin, Recorded};
#[allow(unused_imports)]
pub use traceparent::TraceParent;

use record::Record;
use server::Cuttable;

/// A running site of two origins, which stops when it is dropped.
#[derive(Debug)]
pub struct Site {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// State of the request handlers of both origins.
#[derive(Debug)]
struct Shared {
    main: String,
    other: String,
    record: Record,
}

impl Site {
    /// Starts the site on two loopback ports, over HTTP/1.1.
    pub fn start() -> Self {
        Self::serving("http", |listener, router| drop(tokio::spawn(server::serve(listener, router))))
    }

    /// Starts the site on two loopback ports, over TLS and HTTP/2. A browser needs the argument [`ACCEPTING`] to load it.
    pub fn over_http2() -> Self {
        Self::serving("https", |listener, router| drop(tokio::spawn(http2::serve(listener, router))))
    }

    /// `serve` is called in the runtime for each of the two origins.
    fn serving(scheme: &str, serve: impl Fn(Cuttable, Router)) -> Self {
        let main = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("no free loopback port");
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("no free loopback port");
        let shared = Arc::new(Shared {
            main: format!("{scheme}://127.0.0.1:{}", port(&main)),
            other: format!("{scheme}://localhost:{}", port(&other)),
            record: Record::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("site")
            .enable_all()
            .build()
            .expect("no runtime for the site");
        for (origin, listener) in [(Origin::Main, main), (Origin::Other, other)] {
            let _guard = runtime.enter();
            serve(Cuttable::new(listener), server::router(origin, Arc::clone(&shared)));
        }
        Self { shared, runtime: Some(runtime) }
    }

    /// Returns the main origin, such as `http://127.0.0.1:40123`.
    pub fn main(&self) -> &str {
        &self.shared.main
    }

    /// Returns the origin that is cross-site to the main one, such as `http://localhost:40124`.
    pub fn other(&self) -> &str {
        &self.shared.other
    }

    /// Returns the URL of a path on the main origin.
    pub fn url(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.shared.main)
    }

    /// Returns all requests so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.record.all()
    }

    /// Returns all requests so far and clears the record.
    pub fn take(&self) -> Vec<Recorded> {
        self.shared.record.take()
    }

    /// Clears the record.
    pub fn clear(&self) {
        drop(self.take());
    }

    /// Waits until nothing has arrived for `quiet`, but no longer than `at_most`, and returns all requests so far.
    ///
    /// A browser sends beacons, prefetches and favicons after its page is loaded.
    pub fn settled(&self, quiet: Duration, at_most: Duration) -> Vec<Recorded> {
        let start = Instant::now();
        loop {
            let last = self.shared.record.last_arrival().unwrap_or(start).max(start);
            if last.elapsed() >= quiet || start.elapsed() >= at_most {
                return self.requests();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Without a graceful shutdown, which would wait for slow responses and open WebSockets.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("a bound listener has an address").port()
}
