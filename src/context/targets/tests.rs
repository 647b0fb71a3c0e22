use serde_json::Value;
use url::Url;

use super::*;

/// Whether a pattern matches, as the browser's engines would have it.
fn matches(pattern: &str, url: &str) -> bool {
    let pattern = MatchPattern::parse(pattern).unwrap();
    let url = Url::parse(url).unwrap();
    pattern.regexes().iter().any(|regex| regex::Regex::new(regex).unwrap().is_match(url.as_str()))
}

/// The listener of the extension reads the same fixture.
#[test]
fn patterns_are_compared_by_scheme_host_port_and_path() {
    let fixture: Vec<Value> = serde_json::from_str(include_str!("../../../tests/fixtures/targets.json")).unwrap();
    for case in fixture {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |name: &str| case[name].as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        let pattern = text(&case["pattern"]);
        assert_eq!(MatchPattern::parse(&pattern).unwrap().regexes(), list("regexes"), "{pattern}");
        for url in list("matches") {
            assert!(matches(&pattern, &url), "{pattern} should match {url}");
        }
        for url in list("others") {
            assert!(!matches(&pattern, &url), "{pattern} should not match {url}");
        }
    }
}

#[test]
fn an_error_names_its_position() {
    let said: Vec<String> = [
        "shop.test",
        "",
        "ftp://shop.test/*",
        "http://shop.test",
        "http:///x",
        "http://*.*.test/*",
        "http://shop.*/*",
        "http://*shop.test/*",
        "http://*.127.0.0.1/*",
        "http://shop test/*",
        "http://shop.test:99999/*",
        "http://shop.test:+1/*",
        "http://shop.test:/*",
        "http://shop.test/x?y=1",
        "http://shop.test/é#y",
    ]
    .iter()
    .map(|pattern| MatchPattern::parse(pattern).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r##"
    "shop.test" is not a valid pattern: expected scheme://host/path, such as https://*.shop.test/*, or <all_urls>
    "" is not a valid pattern: expected scheme://host/path, such as https://*.shop.test/*, or <all_urls>
    "ftp://shop.test/*" is not a valid pattern: the scheme is http, https, ws, wss or *
    "http://shop.test" is not a valid pattern at its end: a path is missing: /* is every path
    "http:///x" is not a valid pattern at "/x" (character 8): a host is missing: * is every host
    "http://*.*.test/*" is not a valid pattern at "*.test/*" (character 10): a * in the host is all of it, or its beginning as in *.shop.test
    "http://shop.*/*" is not a valid pattern at "*/*" (character 13): a * in the host is all of it, or its beginning as in *.shop.test
    "http://*shop.test/*" is not a valid pattern at "*shop.test/*" (character 8): a * in the host is all of it, or its beginning as in *.shop.test
    "http://*.127.0.0.1/*" is not a valid pattern at "*.127.0.0.1/*" (character 8): an IP address has no subdomains
    "http://shop test/*" is not a valid pattern at "shop test/*" (character 8): it is not a host
    "http://shop.test:99999/*" is not a valid pattern at "99999/*" (character 18): the port is a number up to 65535, or *
    "http://shop.test:+1/*" is not a valid pattern at "+1/*" (character 18): the port is a number up to 65535, or *
    "http://shop.test:/*" is not a valid pattern at "/*" (character 18): the port is a number up to 65535, or *
    "http://shop.test/x?y=1" is not a valid pattern at "?y=1" (character 19): the query is not compared: leave it out
    "http://shop.test/é#y" is not a valid pattern at "#y" (character 19): the query is not compared: leave it out
    "##);
}

#[test]
fn lists_have_a_limit() {
    let list = |items: &[&str]| patterns(&items.iter().map(ToString::to_string).collect::<Vec<_>>());
    let texts = |items: &[&str]| list(items).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&["http://a/b,c d/*", "<all_urls>"]), ["http://a/b,c d/*", "<all_urls>"]);
    assert!(list(&["http://a/*", "b"]).unwrap_err().starts_with("\"b\" is not a valid pattern: expected scheme://"));
    assert_eq!(list(&["http://a/*"; 21]).unwrap_err(), "there are 21 patterns: 20 at most");
}

proptest::proptest! {
    #[test]
    fn any_text_compiles_or_has_a_reason(text in "([a-z*]{1,5}://)?[a-z.*:0-9\\[\\]]{0,12}(/.{0,20})?") {
        if let Ok(pattern) = MatchPattern::parse(&text) {
            proptest::prop_assert!(pattern.regexes().iter().all(|regex| regex::Regex::new(regex).is_ok()), "{pattern:?}");
        }
    }
}

#[test]
fn domains_cover_the_hosts_of_all_patterns() {
    let domains = |patterns: &[&str]| {
        let patterns: Vec<_> = patterns.iter().map(|pattern| MatchPattern::parse(pattern).unwrap()).collect();
        MatchPattern::domains(&patterns)
    };
    let known = ["https://*.Shop.test:8443/api/*", "http://shop.test./*", "*://127.0.0.1:9/*"];
    assert_eq!(domains(&known).unwrap(), ["127.0.0.1", "shop.test"]);
    assert_eq!(domains(&["http://b\u{fc}cher.test/*"]).unwrap(), ["xn--bcher-kva.test"]);
    for any in ["<all_urls>", "*://*/api/*", "http://[::1]/*"] {
        assert_eq!(domains(&["http://shop.test/*", any]), None, "{any}");
    }
}
