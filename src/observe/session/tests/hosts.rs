//! Which hosts are asked, and which of them the client has navigated to itself.

use super::*;

/// Moves a request to another address; `by_page` says that a page began the navigation.
fn at(mut observation: Observation, address: &str, is_by_page: bool) -> Observation {
    if let Observation::RequestStarted { url, navigation, .. } = &mut observation {
        address.clone_into(url);
        if let Some(navigation) = navigation {
            navigation.by_page = is_by_page;
        }
    }
    observation
}

#[test]
fn hosts_are_the_clients_only_where_it_navigates_itself() {
    let recording = Recording::new().observe(vec![
        at(navigates(2000.0, "1", 0x10, 0xa), "https://user@shop.test:8443/", false),
        redirected(2001.0, "1"),
        at(navigates(2002.0, "1", 0x11, 0xa), "https://login.test/", false),
        completed(2003.0, "1", 200),
        at(navigates(2010.0, "2", 0x12, 0xb), "https://linked.test/", true),
        completed(2011.0, "2", 404),
        at(started(2012.0, "3", 0x13, Some(0xb)), "https://dead.test/", false),
        failed(2013.0, "3", "net::ERR_CONNECTION_REFUSED"),
        at(started(2014.0, "4", 0x14, Some(0xb)), "https://left.test/", false),
        failed(2015.0, "4", "net::ERR_ABORTED"),
        // It never left, so no host has had a header.
        failed(2016.0, "5", "net::ERR_BLOCKED_BY_CLIENT"),
        at(started(2017.0, "6", 0x15, Some(0xb)), "https://cached.test/", false),
        Observation::RequestCompleted {
            time: 2018.0,
            request: "6".into(),
            response: Response { status: 200, from_cache: true, ..Response::default() },
        },
    ]);
    let counts = recording.session.counts();
    assert_eq!(counts.client_hosts.iter().collect::<Vec<_>>(), ["shop.test"]);
    let hosts: Vec<_> = counts.hosts.iter().map(|(host, failed)| (host.as_str(), *failed)).collect();
    let expected = [
        ("dead.test", true),
        ("left.test", false),
        ("linked.test", false),
        ("login.test", false),
        ("shop.test", false),
    ];
    assert_eq!(hosts, expected);
}

#[test]
fn the_number_of_hosts_is_limited() {
    let mut recording = Recording::new();
    for number in 0..1000_u32 {
        let id = number.to_string();
        let request =
            at(navigates(2000.0, &id, u64::from(number) + 1, 0xa), &format!("https://h{number}.test/"), false);
        recording = recording.observe(vec![request, completed(2001.0, &id, 200)]);
    }
    let counts = recording.session.counts();
    assert_eq!((counts.client_hosts.len(), counts.hosts.len()), (200, 200));
}
