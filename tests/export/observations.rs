//! Observations as the extension makes them.

use navtrace::testing::SpanId;
use navtrace::testing::{NavigationStart, Observation, Response};

/// Start of all observations, in milliseconds since 1970.
pub(crate) const START: f64 = 1_764_211_873_000.0;

/// Returns the span id with this number.
pub(crate) fn span_id(number: u64) -> SpanId {
    format!("{number:016x}").parse().unwrap()
}

/// Returns the start of a request below a navigation or, without `parent`, below the root.
pub(crate) fn started(time: f64, request: &str, id: u64, parent: Option<u64>) -> Observation {
    Observation::RequestStarted {
        time: START + time,
        request: request.into(),
        span_id: span_id(id),
        parent: parent.map(span_id),
        trace_id: None,
        caller: None,
        link: None,
        method: "GET".into(),
        url: format!("http://shop.test/{request}"),
        resource: "script".into(),
        navigation: None,
        size: None,
    }
}

/// Returns the start of a navigation's own request.
pub(crate) fn navigates(time: f64, request: &str, id: u64, navigation: u64) -> Observation {
    let mut observation = started(time, request, id, Some(navigation));
    if let Observation::RequestStarted { navigation, resource, .. } = &mut observation {
        *navigation = Some(NavigationStart { tab_id: 7, started: START + time - 2.0, by_page: false });
        "main_frame".clone_into(resource);
    }
    observation
}

pub(crate) fn response(status: u16, from_cache: bool) -> Response {
    let (address, protocol) = (Some("127.0.0.1".to_owned()), Some("HTTP/1.1".to_owned()));
    Response { status, from_cache, address, protocol }
}

/// Returns the successful end of a request.
pub(crate) fn completed(time: f64, request: &str, status: u16) -> Observation {
    Observation::RequestCompleted { time: START + time, request: request.into(), response: response(status, false) }
}

/// Returns the commit of a navigation.
pub(crate) fn committed(time: f64, navigation: u64) -> Observation {
    Observation::NavigationCommitted {
        time: START + time,
        span_id: span_id(navigation),
        tab_id: 7,
        url: format!("http://shop.test/page/{navigation:x}"),
        started: START + time,
        transition: "typed".into(),
    }
}

/// Returns the span ids of page load `number`: the navigation has `number << 16`, its requests follow.
pub(crate) fn page_ids(number: u64, requests: u64) -> Vec<String> {
    (0..=requests).map(|place| span_id((number << 16) + place).to_string()).collect()
}

/// Returns a whole page load with `requests` requests, including the navigation's own, after which the tab is closed. Page loads are 10
/// seconds apart, so that each has ended when the next begins.
pub(crate) fn page(number: u64, requests: u64) -> Vec<Observation> {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let start = 10_000.0 * number as f64;
    let navigation = number << 16;
    let name = |place: u64| format!("{number}-{place}");
    let mut page = vec![navigates(start, &name(1), navigation + 1, navigation)];
    page.push(completed(start + 10.0, &name(1), 200));
    page.push(committed(start + 12.0, navigation));
    for place in 2..=requests {
        page.push(started(start + 20.0, &name(place), navigation + place, Some(navigation)));
        page.push(completed(start + 30.0, &name(place), 200));
    }
    page.push(Observation::DocumentLoaded { time: START + start + 40.0, span_id: span_id(navigation) });
    page.push(Observation::TabClosed { time: START + start + 50.0, tab_id: 7 });
    page
}

/// Joins the span ids of several page loads.
pub(crate) fn all_ids(pages: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    pages.into_iter().flatten().collect()
}
