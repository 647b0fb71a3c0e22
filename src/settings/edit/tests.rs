use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;

/// A config.toml with this text, unless that is empty, in a directory of its own.
fn with(text: &str) -> (tempfile::TempDir, ConfigFile) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("navtrace/config.toml");
    if !text.is_empty() {
        fs::create_dir(dir.path().join("navtrace")).unwrap();
        fs::write(&path, text).unwrap();
    }
    (dir, ConfigFile { path, is_named: false, exists: !text.is_empty() })
}

#[allow(clippy::unnecessary_wraps, reason = "`None` removes a key")]
fn text(text: &str) -> Option<SettingValue> {
    Some(SettingValue::Text(text.to_owned()))
}

#[allow(clippy::unnecessary_wraps, reason = "`None` removes a key")]
fn list(items: &[&str]) -> Option<SettingValue> {
    Some(SettingValue::List(items.iter().map(|item| (*item).to_owned()).collect()))
}

fn values(values: &[(&str, Option<SettingValue>)]) -> BTreeMap<String, Option<SettingValue>> {
    values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn stored(before: &str, changes: &[(&str, Option<SettingValue>)]) -> String {
    let (_dir, file) = with(before);
    store(Some(&file), &values(changes)).unwrap();
    fs::read_to_string(&file.path).unwrap()
}

#[test]
fn the_users_text_is_kept() {
    let before = "# mine\nmode = \"auto\" # for now\n\n[otel]\n# where\nservice_name = 'shop'\n";
    assert_eq!(
        stored(
            before,
            &[
                ("mode", text("detailed")),
                ("web_vitals", Some(SettingValue::Switch(true))),
                ("targets", list(&["https://*.shop.test/*", "http://localhost/*"])),
                ("otel.propagators", list(&["b3"])),
                ("otel.service_name", text("shop")),
            ]
        ),
        "# mine\nmode = \"detailed\" # for now\ntargets = [\"https://*.shop.test/*\", \"http://localhost/*\"]\nweb_vitals = true\n\n\
         [otel]\n# where\nservice_name = 'shop'\npropagators = [\"b3\"]\n"
    );
}

#[test]
fn an_empty_table_is_removed_with_its_last_key() {
    assert_eq!(
        stored("mode = 'auto'\n[otel]\nservice_name = 'shop'\n", &[("otel.service_name", None)]),
        "mode = 'auto'\n"
    );
    assert_eq!(
        stored("mode = 'auto'\n# theirs\n[otel]\nservice_name = 'shop'\n", &[("otel.service_name", None)]),
        "mode = 'auto'\n# theirs\n[otel]\n"
    );
    assert_eq!(stored("mode = 'auto'\nlog = 'info'\n", &[("mode", None), ("link", None)]), "log = 'info'\n");
    // An empty one counts as none.
    assert_eq!(
        stored("mode = 'auto'\nlog = 'info'\n", &[("mode", text("")), ("targets", list(&[]))]),
        "log = 'info'\n"
    );
}

#[test]
fn a_new_file_is_private() {
    let (dir, file) = with("");
    store(Some(&file), &values(&[("mode", None)])).unwrap();
    assert!(!dir.path().join("navtrace").exists());
    store(Some(&file), &values(&[("mode", text("lightweight"))])).unwrap();
    assert_eq!(fs::read_to_string(&file.path).unwrap(), "mode = \"lightweight\"\n");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file.path), mode(file.path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn a_symbolic_link_is_kept() {
    let (dir, file) = with("mode = 'auto'\n");
    let real = dir.path().join("dotfiles.toml");
    fs::rename(&file.path, &real).unwrap();
    symlink(&real, &file.path).unwrap();
    store(Some(&file), &values(&[("mode", text("detailed"))])).unwrap();
    assert!(fs::symlink_metadata(&file.path).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(real).unwrap(), "mode = \"detailed\"\n");
}

#[test]
fn unchanged_values_keep_their_formatting() {
    let before =
        "targets = [\n  'https://a.test/*', # ours\n]\n[otel]\nbsp_schedule_delay = 500\npropagators = 'b3,jaeger'\n";
    let changes = [
        ("targets", list(&["https://a.test/*"])),
        ("otel.bsp_schedule_delay", text("500")),
        ("otel.propagators", list(&["b3", "jaeger"])),
    ];
    assert_eq!(stored(before, &changes), before);
}

#[test]
fn permissions_stay() {
    let (_dir, file) = with("mode = 'auto'\n");
    let permit = |mode| fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).unwrap();
    permit(0o644);
    store(Some(&file), &values(&[("mode", text("detailed"))])).unwrap();
    assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o644);
    permit(0o444);
    let failure = store(Some(&file), &values(&[("mode", text("auto"))])).unwrap_err();
    assert!(failure.to_string().contains("can't be written: it is read-only; fix that"), "{}", failure.to_string());
}

#[test]
fn a_path_that_is_no_file_is_refused() {
    let (dir, file) = with("mode = 'auto'\n");
    let nowhere = dir.path().join("nowhere");
    fs::remove_file(&file.path).unwrap();
    symlink(&nowhere, &file.path).unwrap();
    let failure = store(Some(&file), &values(&[("mode", text("auto"))])).unwrap_err();
    assert!(failure.to_string().contains("config.toml can't be read: "), "{}", failure.to_string());
    assert!(fs::symlink_metadata(&file.path).unwrap().is_symlink() && !nowhere.exists());
    let null = ConfigFile { path: "/dev/null".into(), is_named: true, exists: true };
    let failure = store(Some(&null), &values(&[("mode", text("auto"))])).unwrap_err();
    assert!(
        failure.to_string().starts_with("/dev/null can't be written: it is not a file;"),
        "{}",
        failure.to_string()
    );
}

#[test]
fn an_invalid_value_stores_nothing_and_names_its_key() {
    let cases: [(&str, Option<SettingValue>, &str); 10] = [
        ("mdoe", text("auto"), "mdoe is not a setting: did you mean mode?"),
        ("otel.propagator", text("b3"), "otel.propagator is not a setting: did you mean otel.propagators?"),
        ("mode", text("detaild"), "mode can't be used: did you mean detailed? (auto, lightweight, detailed, static)"),
        ("mode", Some(SettingValue::Switch(true)), "mode can't be used: expected a text"),
        ("mode", list(&["auto"]), "mode can't be used: expected a text"),
        ("web_vitals", list(&["on"]), "web_vitals can't be used: expected true or false"),
        ("browser", text("/bin/sh"), "browser is not a setting; navtrace config --help lists all settings"),
        (
            "otel.exporter_otlp_endpoint",
            text("local host"),
            "otel.exporter_otlp_endpoint can't be used: expected an address such as http://localhost:4318",
        ),
        (
            "otel.exporter_otlp_endpoint",
            text("localhost"),
            "OTEL_EXPORTER_OTLP_ENDPOINT can't be used: it needs http:// or https://, unless OTEL_EXPORTER_OTLP_PROTOCOL is grpc",
        ),
        (
            "otel.propagators",
            list(&["b3", "jager"]),
            "otel.propagators can't be used: jager is not known (did you mean jaeger?); there are tracecontext, baggage, b3, b3multi, jaeger \
             and none",
        ),
    ];
    for (key, value, sentence) in cases {
        let (_dir, file) = with("# mine\n");
        let failure = store(Some(&file), &values(&[("log", text("info")), (key, value)])).unwrap_err();
        assert_eq!(failure.to_string(), sentence);
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "# mine\n");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_left_as_it_is() {
    for (before, words) in [
        ("mode = auto", "this is not TOML"),
        ("mdoe = 'auto'", "mdoe is not a setting"),
        ("log = 'loud'", "can't be used"),
    ] {
        let (_dir, file) = with(before);
        let failure = store(Some(&file), &values(&[("mode", text("detailed"))])).unwrap_err();
        assert!(
            failure.to_string().contains(words) && failure.to_string().contains("config.toml:1:"),
            "{}",
            failure.to_string()
        );
        assert_eq!(fs::read_to_string(&file.path).unwrap(), before);
    }
    let (dir, file) = with("");
    fs::write(dir.path().join("navtrace"), "").unwrap();
    let failure = store(Some(&file), &values(&[("mode", text("detailed"))])).unwrap_err();
    assert!(
        failure.to_string().ends_with("; fix that, or name another file with NAVTRACE_CONFIG"),
        "{}",
        failure.to_string()
    );
    let failure = store(None, &values(&[("mode", text("detailed"))])).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "there is no home directory to store settings in: set HOME, or name a file with NAVTRACE_CONFIG"
    );
}

/// Any of some keys with any of some values that fit.
fn change() -> impl Strategy<Value = (&'static str, Option<SettingValue>)> {
    let texts = |key, texts: &'static [&'static str]| (Just(key), proptest::sample::select(texts).prop_map(text));
    let words = proptest::collection::vec("[ -~äß\u{1F600}]{1,12}", 1..4);
    prop_oneof![
        texts("mode", &["auto", "detailed"]),
        texts("otel.traces_sampler", &["always_on", "traceidratio"]),
        (Just("web_vitals"), any::<bool>().prop_map(|on| Some(SettingValue::Switch(on)))),
        (Just("otel.service_name"), "[ -~äß\u{1F600}\t\n]{1,20}".prop_map(|word| Some(SettingValue::Text(word)))),
        (
            Just("targets"),
            proptest::sample::select(&["https://a.test/*", "*://*.b.test/x,y*"][..]).prop_map(|item| list(&[item]))
        ),
        (
            Just("otel.resource_attributes"),
            words.prop_map(|words| {
                let pair = |word: String| {
                    format!("k={}", percent_encoding::utf8_percent_encode(&word, percent_encoding::NON_ALPHANUMERIC))
                };
                Some(SettingValue::List(words.into_iter().map(pair).collect()))
            })
        ),
        (proptest::sample::select(&["mode", "web_vitals", "targets", "otel.service_name"][..]), Just(None)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn stored_values_are_read_back(sequence in proptest::collection::vec(change(), 1..8)) {
        let (_dir, file) = with("");
        let mut expected = BTreeMap::new();
        for (key, value) in sequence {
            store(Some(&file), &values(&[(key, value.clone())])).unwrap();
            expected.insert(key.to_owned(), value);
        }
        let file = ConfigFile { exists: fs::metadata(&file.path).is_ok(), ..file };
        let config = Config { file: Some(file), ..Config::default() };
        for info in config.stored().unwrap() {
            prop_assert_eq!(&info.stored, expected.get(&info.key).unwrap_or(&None), "{}", info.key);
        }
    }
}
