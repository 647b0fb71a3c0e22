use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::doctor::render;

fn computer(root: &Path) -> Computer {
    let homes = Homes { home: root.join("home"), config: root.join("home/.config") };
    Computer { os: Os::Linux, homes: Some(homes), root: root.into(), search_path: OsString::new() }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn ids(computer: &Computer) -> Vec<&'static str> {
    computer.browsers().iter().map(|found| found.browser.id).collect()
}

/// Renders the findings about a Chromium whose files are below `root`.
fn rendered(root: &Path) -> String {
    let found = InstalledBrowser::read(&computer(root), &BROWSERS[0], &root.join("profile"));
    let findings = found.findings("Chromium".to_owned(), &Repair::new(None));
    let itself = std::env::current_exe().unwrap();
    let text = render(&findings).replace(&*itself.to_string_lossy(), "NAVTRACE");
    text.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace(&*root.to_string_lossy(), "ROOT")
}

#[test]
fn browsers_without_navtrace_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let computer = computer(dir.path());
    assert_eq!(ids(&computer), [""; 0]);
    let config = dir.path().join("home/.config");
    fs::create_dir_all(config.join("vivaldi/Default")).unwrap();
    assert_eq!(ids(&computer), [""; 0]);
    write(&config.join("microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json"), "{}");
    write(
        &config.join("chromium/Default/Preferences"),
        r#"{"extensions":{"settings":{"aalhdoofknlgjgclnnkjbegphicaohme":{"path":"/ext"}}}}"#,
    );
    assert_eq!(ids(&computer), ["chromium", "edge"]);
    // Three browsers read this location, and one of them has been started.
    write(&dir.path().join("etc/opt/chrome/native-messaging-hosts/dev.navtrace.host.json"), "{}");
    assert_eq!(ids(&computer), ["chromium", "edge", "vivaldi"]);
    assert_eq!(ids(&Computer { homes: None, ..computer }), [""; 0]);
}

#[test]
fn the_users_manifest_takes_precedence() {
    let dir = tempfile::tempdir().unwrap();
    let effective = || {
        let found = InstalledBrowser::read(&computer(dir.path()), &BROWSERS[0], &dir.path().join("profile"));
        found.effective().manifest.strip_prefix(dir.path()).unwrap().to_owned()
    };
    let user = Path::new("profile/NativeMessagingHosts/dev.navtrace.host.json");
    assert_eq!(effective(), Path::new("etc/chromium/native-messaging-hosts/dev.navtrace.host.json"));
    write(&dir.path().join(user), "broken");
    assert_eq!(effective(), user);
}

#[test]
fn the_registration_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let root = dir.path();
    let file = manifest::file_name();
    let ours = manifest::render(&std::env::current_exe().unwrap()).unwrap();
    write(&root.join("etc/chromium/native-messaging-hosts").join(&file), &ours);
    insta::assert_snapshot!(rendered(root), @r#"
    Chromium
    ok    registration     for every user: NAVTRACE, which is this navtrace (VERSION)
    warn  registration     for every user, but other users cannot access ROOT: as root, fix its permissions with chmod, or run `sudo navtrace install --system`
    hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install` says how to load it
    ok    policy           no policy file of this computer mentions extensions
    "#);
    write(&root.join("profile/NativeMessagingHosts").join(&file), &manifest::render(Path::new("/gone")).unwrap());
    insta::assert_snapshot!(rendered(root), @r#"
    Chromium
    FAIL  registration     for this user: /gone is not there any more: run `navtrace install`
    ok    registration     for every user: NAVTRACE, which is this navtrace (VERSION); not used, because the one for this user takes precedence
    hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install` says how to load it
    ok    policy           no policy file of this computer mentions extensions
    "#);
}

#[test]
fn policy_files_about_extensions_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("etc/chromium/policies/managed");
    for (name, policies) in [
        ("a.json", r#"{"NativeMessagingBlocklist": ["*"], "HomepageLocation": "", "ExtensionSettings": {}}"#),
        ("b.json", r#"{"HomepageLocation": ""}"#),
        ("c.json", "{,}"),
        ("d.json", "[]"),
    ] {
        write(&folder.join(name), policies);
    }
    let findings = policies(&[dir.path().join("missing"), folder]);
    let text = render(&findings).replace(&*dir.path().to_string_lossy(), "ROOT");
    insta::assert_snapshot!(text, @r"
    warn  policy           ROOT/etc/chromium/policies/managed/a.json sets ExtensionSettings, NativeMessagingBlocklist, which may block navtrace: chrome://policy shows the policies in force
    hint  policy           ROOT/etc/chromium/policies/managed/c.json can't be read: it is not JSON: key must be a string at line 1 column 2; chrome://policy shows the policies in force
    ");
}
