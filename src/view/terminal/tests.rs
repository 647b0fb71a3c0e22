use insta::assert_snapshot;

use super::*;
use crate::view::trace::{Place, Role};

fn span(depth: usize, service: &str, label: &str, start_us: u64, duration_us: u64) -> ShownSpan {
    ShownSpan {
        id: String::new(),
        parent: None,
        depth,
        service: service.to_owned(),
        name: label.to_owned(),
        label: label.to_owned(),
        role: Role::Other,
        kind: "",
        place: Place { start_us, duration_us, ..Place::default() },
        error: false,
        message: String::new(),
        cached: false,
        attributes: Vec::new(),
        resource: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        remark: None,
    }
}

fn trace(spans: Vec<ShownSpan>) -> Trace {
    let duration_us = spans.iter().map(|span| span.place.start_us + span.place.duration_us).max().unwrap_or(0);
    let id = "4bf92f3577b34da6a3ce929d0e0e4736".to_owned();
    Trace {
        id,
        start: 1_700_000_000_000_000_000,
        start_ms: 0.0,
        duration_us,
        link: None,
        spans,
        clocks: Vec::new(),
        corrected: None,
    }
}

fn shop() -> Trace {
    let mut failed = span(2, "shop", "GET /a/path/that/goes/on/and/on/and/on/and/on/and/on/products", 400_000, 500_000);
    failed.error = true;
    failed.attributes = vec![("http.response.status_code".to_owned(), 500.into())];
    let mut cached = span(2, "browser", "GET /商品/一覧", 20_000, 830);
    cached.cached = true;
    let mut lost = span(0, "a-service-with-a-long-name", "cron", 900_000, 340_000);
    lost.remark = Some("parent missing");
    let mut trace = trace(vec![
        span(0, "browser", "browser session", 0, 1_240_000),
        span(1, "browser", "navigation http://shop.test/", 10_000, 900_000),
        cached,
        failed,
        lost,
    ]);
    trace.link = Some("http://jaeger.test/4bf9".to_owned());
    trace
}

/// Draws a waterfall without colours.
fn drawn(trace: &Trace, width: usize, unicode: bool) -> String {
    let text = anstream::adapter::strip_str(&waterfall(trace, Terminal { width, unicode })).to_string();
    for line in text.lines().skip(2) {
        assert!(line.width() <= width, "{} columns: {line}", line.width());
    }
    text
}

#[test]
fn a_waterfall_fits_a_wide_terminal() {
    assert_snapshot!(drawn(&shop(), 120, true), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.24 s  5 spans  1 error  a-service-with-…, browser, shop
    http://jaeger.test/4bf9
    browser session                                              browser           ██████████████████████████████     1.24 s
    └─ navigation http://shop.test/                              browser           ██████████████████████           900.0 ms
       ├─ GET /商品/一覧 (cache)                                 browser           █                                  830 µs
       └─ GET /a/path/that/goes/on/and/on/and/on/and/on/a… ✗ 500 shop                       ████████████            500.0 ms
    cron (parent missing)                                        a-service-with-…                       █████████   340.0 ms
    ");
}

#[test]
fn spans_without_a_failure_say_how_they_ended() {
    let mut spans = vec![span(0, "browser", "GET /", 0, 10)];
    spans.extend([own::BLOCKED, own::CANCELLED, own::UNFINISHED].map(|key| {
        let attributes = vec![(key.to_owned(), true.into())];
        ShownSpan { attributes, ..span(1, "browser", "GET /", 0, 10) }
    }));
    let text = drawn(&trace(spans), 100, true);
    let remarks: Vec<_> = text.lines().filter_map(|line| Some(line.split_once('(')?.1.split_once(')')?.0)).collect();
    assert_eq!(remarks, ["blocked", "cancelled", "unfinished"], "{text}");
}

#[test]
fn a_waterfall_fits_a_usual_terminal() {
    assert_snapshot!(drawn(&shop(), 80, true), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.24 s  5 spans  1 error  a-service-with-…, browser, shop
    http://jaeger.test/4bf9
    browser session                  browser           ██████████████████     1.24 s
    └─ navigation http://shop.test/  browser           █████████████        900.0 ms
       ├─ GET /商品/一覧 (cache)     browser           █                      830 µs
       └─ GET /a/path/that/go… ✗ 500 shop                   ████████        500.0 ms
    cron (parent missing)            a-service-with-…               █████   340.0 ms
    ");
    assert_snapshot!(drawn(&shop(), 80, false), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.24 s  5 spans  1 error  a-service-with-~, browser, shop
    http://jaeger.test/4bf9
    browser session                  browser           ##################     1.24 s
    `- navigation http://shop.test/  browser           #############        900.0 ms
       |- GET /商品/一覧 (cache)     browser           #                      830 us
       `- GET /a/path/that/go~ ! 500 shop                   ########        500.0 ms
    cron (parent missing)            a-service-with-~               #####   340.0 ms
    ");
}

#[test]
fn a_waterfall_fits_a_narrow_terminal() {
    assert_snapshot!(drawn(&shop(), 40, true), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.24 s  5 spans  1 error  a-service-with-…, browser, shop
    http://jaeger.test/4bf9
    browser session                   1.24 s
    └─ navigation http://shop.tes…  900.0 ms
       ├─ GET /商品/一覧 (cache)      830 µs
       └─ GET /a/path/that/… ✗ 500  500.0 ms
    cron (parent missing)           340.0 ms
    ");
}

#[test]
fn a_deep_tree_leaves_room_for_labels() {
    let spans = (0..100_000).map(|depth| span(depth, "s", "a label of some length", 0, 1)).collect();
    let trace = trace(spans);
    for width in [40, 60, 80] {
        let text = drawn(&trace, width, true);
        assert_eq!(text.lines().count(), 100_001);
        assert!(text.lines().last().unwrap().contains("a label of"), "{}", text.lines().last().unwrap());
    }
}

#[test]
fn text_is_cut_by_its_width_in_columns() {
    for (text, width, cut) in [
        ("shop", 4, "shop"),
        ("shops", 4, "sho…"),
        ("商品一覧", 6, "商品…"),
        ("商品一覧", 7, "商品一…"),
        ("shop", 1, "…"),
        ("shop", 0, ""),
    ] {
        assert_eq!(fit(text, width, &UNICODE), cut);
    }
    assert_eq!(fit("shops", 4, &ASCII), "sho~");
}

#[test]
fn durations_have_a_fitting_unit() {
    for (us, text) in
        [(0, "0 µs"), (830, "830 µs"), (12_300, "12.3 ms"), (1_240_000, "1.24 s"), (3_600_000_000, "3600.00 s")]
    {
        assert_eq!(duration(us, &UNICODE), text);
    }
    assert_eq!(duration(830, &ASCII), "830 us");
}

#[test]
fn a_list_cuts_everything_but_ids() {
    let summary = |spans, errors, root: Option<&str>| TraceSummary {
        id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        spans,
        errors,
        start: 0,
        end: 12_300_000,
        root: root.map(ToOwned::to_owned),
        services: ["browser", "shop"].map(ToOwned::to_owned).into(),
    };
    let traces = [summary(12, 2, Some("navigation http://shop.test/")), summary(1, 0, None)];
    let listed = |width| anstream::adapter::strip_str(&list(&traces, Terminal { width, unicode: true })).to_string();
    assert_snapshot!(listed(120), @"
    4bf92f3577b34da6a3ce929d0e0e4736    12.3 ms     12 spans  2 errors  navigation http://shop.test/  browser, shop
    4bf92f3577b34da6a3ce929d0e0e4736    12.3 ms      1 span   no root  browser, shop
    ");
    assert_snapshot!(listed(80), @"
    4bf92f3577b34da6a3ce929d0e0e4736    12.3 ms     12 spans  2 errors  navigation …
    4bf92f3577b34da6a3ce929d0e0e4736    12.3 ms      1 span   no root  browser, shop
    ");
    assert_snapshot!(listed(40), @"
    4bf92f3577b34da6a3ce929d0e0e4736    12.3 ms     12 spans  2 errors
    4bf92f3577b34da6a3ce929d0e0e4736    12.3 ms      1 span
    ");
}
