use url::Url;

use super::*;

/// Whether a pattern matches, as the browser's engines would have it.
fn matches(pattern: &str, url: &str) -> bool {
    let pattern = MatchPattern::parse(pattern).unwrap();
    let url = Url::parse(url).unwrap();
    pattern.regexes().iter().any(|regex| regex::Regex::new(regex).unwrap().is_match(url.as_str()))
}

#[test]
fn patterns_are_compared_by_scheme_host_port_and_path() {
    for (pattern, hits, misses) in [
        (
            "<all_urls>",
            &["http://a.test/", "https://a.test/x?y", "wss://a.test/", "ws://a.test:1/"][..],
            &["file:///x", "data:,x"][..],
        ),
        ("*://*/*", &["http://a.test/", "https://[::1]:8080/x", "wss://a.test/"], &["file:///x", "ftp://a.test/"]),
        (
            "http://shop.test/*",
            &["http://shop.test/", "http://shop.test:8080/x", "ws://shop.test/x"],
            &["https://shop.test/", "http://a.shop.test/", "http://shop.test.evil/", "http://evil/?http://shop.test/"],
        ),
        (
            "https://*.shop.test/*",
            &["https://shop.test/", "https://a.b.shop.test/x", "wss://a.shop.test/"],
            &[
                "https://ashop.test/",
                "https://evil/a.shop.test/",
                "https://evil#.shop.test/",
                "https://evil?.shop.test/",
            ],
        ),
        (
            "http://shop.test:80/*",
            &["http://shop.test/", "http://shop.test:80/"],
            &["http://shop.test:8080/", "https://shop.test/"],
        ),
        ("https://shop.test:443/*", &["https://shop.test/"], &["https://shop.test:444/", "http://shop.test/"]),
        (
            "*://shop.test:443/*",
            &["https://shop.test/", "http://shop.test:443/"],
            &["http://shop.test/", "https://shop.test:80/"],
        ),
        (
            "http://localhost:3000/*",
            &["http://localhost:3000/x", "ws://localhost:3000/"],
            &["http://localhost/", "http://localhost:30000/", "http://localhost:3001/"],
        ),
        ("*://shop.test:*/*", &["http://shop.test/", "https://shop.test:1/"], &["http://shop/"]),
        ("ws://shop.test/*", &["ws://shop.test/"], &["http://shop.test/", "wss://shop.test/"]),
        (
            "http://127.0.0.1/api/*",
            &["http://127.0.0.1:9/api/", "http://127.0.0.1/api/x/y?z"],
            &["http://127.0.0.1/", "http://127.0.0.1/apix", "http://127.0.0.1/?/api/"],
        ),
        ("http://[::1]:9/*", &["http://[::1]:9/x"], &["http://[::2]:9/x"]),
        (
            "http://shop.test/api",
            &["http://shop.test/api", "http://shop.test/api?q=1", "http://shop.test/api#x"],
            &["http://shop.test/api/", "http://shop.test/apis", "http://shop.test/"],
        ),
        (
            "http://shop.test/*/cart",
            &["http://shop.test/de/cart", "http://shop.test/a/b/cart?x"],
            &["http://shop.test/cart", "http://shop.test/de/carts", "http://shop.test/?/cart"],
        ),
        ("http://shop.test/*.js", &["http://shop.test/a/b.js"], &["http://shop.test/bxjs", "http://shop.test/?.js"]),
        (
            "http://shop.test/a b/é/*",
            &["http://shop.test/a%20b/%C3%A9/x", "http://shop.test/a b/é/x"],
            &["http://shop.test/a/"],
        ),
        ("http://shop.test/*.*", &["http://shop.test/a.b"], &["http://shop.test/a"]),
        ("http://shop.test/x*/../y", &[], &["http://shop.test/xy"]),
        ("http://SHOP.test/*", &["http://shop.test/"], &[]),
        ("http://münchen.test/*", &["http://xn--mnchen-3ya.test/", "http://münchen.test/"], &[]),
        ("http://shop.test/(a|b)/*", &["http://shop.test/(a|b)/x"], &["http://shop.test/a/x"]),
        (
            "http://shop.test/*",
            &["http://user:pass@shop.test/"],
            &["http://shop.test@evil/", "http://shop.test:80@evil/"],
        ),
    ] {
        for url in hits {
            assert!(matches(pattern, url), "{pattern} should match {url}");
        }
        for url in misses {
            assert!(!matches(pattern, url), "{pattern} should not match {url}");
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
