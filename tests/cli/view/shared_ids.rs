//! Tests spans that share an id: a client and the server that joined its span, and the same span sent again.

use std::fs;

use insta::assert_snapshot;

use super::{TRACE, line, shop, stdout, view};
use crate::navtrace::{Environment, stderr};

/// Shows lines of a trace file in a terminal of 90 columns.
fn shown(environment: &Environment, text: &str) -> String {
    fs::write(environment.home().join("t.jsonl"), text).unwrap();
    let output = view(environment, &["t.jsonl"]).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    stdout(&output)
}

#[test]
fn a_server_that_joins_the_clients_id_is_its_child() {
    let environment = Environment::new();
    let client = [("1", "", "browser session", 0, 1000, ""), ("4", "1", "GET", 300, 800, "")];
    // Joined twice, since a proxy sent the request again; with a child of the service, and one of another service.
    let server = line(TRACE, "shop", "zipkin", &[("4", "1", "get /cart", 310, 500, "")]);
    let again = line(TRACE, "stock", "zipkin", &[("4", "1", "get /stock", 520, 700, "")]);
    let server = [server, again].map(|line| line.replace(r#""kind":3"#, r#""kind":2"#)).join("\n");
    let below = line(TRACE, "shop", "zipkin", &[("5", "4", "select", 320, 340, "")]);
    let own = line(TRACE, "browser", "navtrace", &[("6", "4", "dns", 300, 305, "")]);
    let text = [line(TRACE, "browser", "navtrace", &client), server, below, own].join("\n");
    assert_snapshot!(shown(&environment, &text), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  6 spans  browser, shop, stock
    browser session                               browser  ████████████████████████     1.00 s
    └─ GET                                        browser         ████████████        500.0 ms
       ├─ dns                                     browser         █                     5.0 ms
       ├─ get /cart                               shop            █████               190.0 ms
       │  └─ select                               shop            █                    20.0 ms
       └─ get /stock                              stock                ████           180.0 ms
    ");
}

#[test]
fn a_span_sent_again_is_one() {
    let environment = Environment::new();
    let once = shown(&environment, &shop());
    assert_eq!(shown(&environment, &shop().repeat(2)), once);
}
