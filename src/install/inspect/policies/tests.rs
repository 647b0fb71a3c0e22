use serde_json::json;

use super::*;

const ID: &str = extension::ID;

fn effects(values: &Value) -> Vec<(&'static str, Kind)> {
    let mut policies = Policies::default();
    for (name, value) in values.as_object().unwrap() {
        policies.values.insert(name.clone(), (value.clone(), "/p.json".into()));
    }
    policies.effects().into_iter().map(|effect| (effect.policy, effect.kind)).collect()
}

#[test]
fn what_is_in_the_way_is_named() {
    let (block, allow) = ("NativeMessagingBlocklist", "NativeMessagingAllowlist");
    let extension = "ExtensionInstallBlocklist";
    let mode = "ExtensionDeveloperModeSettings";
    let tools = "DeveloperToolsAvailability";
    for (values, expected) in [
        (json!({}), None),
        (json!({block: ["*"]}), Some((block, Kind::HostBlocked))),
        (json!({block: ["dev.navtrace.host"]}), Some((block, Kind::HostBlocked))),
        (json!({block: ["*"], allow: ["dev.navtrace.host"]}), None),
        (json!({block: ["*"], allow: ["*"]}), Some((block, Kind::HostBlocked))),
        (json!({block: ["com.other"]}), None),
        (json!({"NativeMessagingUserLevelHosts": false}), Some(("NativeMessagingUserLevelHosts", Kind::UserHostsOff))),
        (json!({"NativeMessagingUserLevelHosts": true}), None),
        (json!({extension: ["*"]}), Some((extension, Kind::ExtensionBlocked))),
        (json!({extension: ["*"], "ExtensionInstallAllowlist": [ID]}), None),
        (json!({extension: [ID], "ExtensionInstallAllowlist": [ID]}), Some((extension, Kind::ExtensionBlocked))),
        (json!({"ExtensionAllowedTypes": ["theme"]}), Some(("ExtensionAllowedTypes", Kind::NoExtensions))),
        (
            json!({"ExtensionAllowedTypes": ["theme"], "ExtensionSettings": {ID: {"installation_mode": "allowed"}}}),
            Some(("ExtensionAllowedTypes", Kind::NoExtensions)),
        ),
        (json!({"ExtensionAllowedTypes": ["theme", "extension"]}), None),
        (json!({mode: 1}), Some((mode, Kind::NoDeveloperMode))),
        (json!({tools: 2}), Some((tools, Kind::NoDeveloperMode))),
        (json!({mode: 0, tools: 2}), None),
        (json!({tools: 1}), None),
        (json!({"IncognitoModeAvailability": 2}), Some(("IncognitoModeAvailability", Kind::AlwaysOffTheRecord))),
        (json!({"IncognitoModeAvailability": 1}), None),
    ] {
        assert_eq!(effects(&values), expected.into_iter().collect::<Vec<_>>(), "{values}");
    }
}

#[test]
fn what_extension_settings_say_is_understood() {
    let blocklist = json!(["*"]);
    for (settings, expected) in [
        (json!({ID: {"installation_mode": "blocked"}}), Some(Kind::ExtensionBlocked)),
        (json!({ID: {"installation_mode": "removed"}}), Some(Kind::ExtensionRemoved)),
        (json!({ID: {"installation_mode": "force_installed"}}), Some(Kind::Installed)),
        (json!({format!("aaaa, {ID}"): {"installation_mode": "normal_installed"}}), Some(Kind::Installed)),
        (json!({ID: {"installation_mode": "allowed"}, "*": {"installation_mode": "blocked"}}), None),
        (json!({"*": {"installation_mode": "blocked"}}), Some(Kind::ExtensionBlocked)),
        (json!({"*": {"installation_mode": "allowed"}}), None),
        (
            json!({"*": {"blocked_permissions": ["webRequest", "usb"], "installation_mode": "allowed"}}),
            Some(Kind::PermissionsBlocked(vec!["webRequest".into()])),
        ),
        (json!({ID: {"blocked_permissions": ["usb"], "installation_mode": "allowed"}}), None),
        (
            json!({"*": {"installation_mode": "allowed"}, ID: {"runtime_blocked_hosts": ["*://*.bank.example"]}}),
            Some(Kind::HostsBlocked(vec!["*://*.bank.example".into()])),
        ),
    ] {
        let found = effects(&json!({"ExtensionSettings": settings, "ExtensionInstallBlocklist": blocklist}));
        assert_eq!(found, expected.map(|kind| ("ExtensionSettings", kind)).into_iter().collect::<Vec<_>>());
    }
    let forced = format!("{ID};https://example.com/update.xml");
    let found = effects(&json!({
        "ExtensionInstallForcelist": [forced], "ExtensionInstallBlocklist": ["*", ID], "DeveloperToolsAvailability": 2,
    }));
    assert_eq!(found, [("ExtensionInstallForcelist", Kind::Installed)]);
}

#[test]
fn odd_values_mean_nothing() {
    for odd in [json!(null), json!(3), json!("*"), json!([3, null]), json!({"a": 3}), json!({ID: 3, "*": []})] {
        let names = [
            "NativeMessagingBlocklist",
            "NativeMessagingAllowlist",
            "ExtensionInstallBlocklist",
            "ExtensionSettings",
            "ExtensionInstallForcelist",
            "DeveloperToolsAvailability",
            "NativeMessagingUserLevelHosts",
        ];
        let values: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), odd.clone())).collect();
        assert_eq!(effects(&Value::Object(values)), [], "{odd}");
    }
}

#[test]
fn the_last_file_counts_and_one_that_is_broken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    file("a.json", r#"{"DeveloperToolsAvailability": 2, "NativeMessagingUserLevelHosts": false}"#);
    file("b.json", r#"{"DeveloperToolsAvailability": 0}"#);
    file("c.json", "{,}");
    file("d.json", "[]");
    fs::create_dir(dir.path().join("folder")).unwrap();
    let policies = Policies::read(&[dir.path().join("missing"), dir.path().into()]);
    let effects = policies.effects();
    let file = dir.path().join("a.json");
    assert_eq!(effects, [Effect { policy: "NativeMessagingUserLevelHosts", file, kind: Kind::UserHostsOff }]);
    let broken: Vec<_> = policies.problems.iter().map(|(path, _)| path.file_name().unwrap()).collect();
    assert_eq!(broken, ["c.json", "d.json"]);
}
