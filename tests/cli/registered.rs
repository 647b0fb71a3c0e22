//! Tests `navtrace install` and `navtrace uninstall` for one user.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::{allow_duplicates, assert_snapshot};

use crate::machine::{HOST, Machine};
use crate::navtrace::stderr;

#[test]
fn an_installation_is_private_and_removed_completely() {
    let machine = Machine::with(&["chromium"]);
    let before = machine.tree();
    assert_snapshot!(machine.run(&["install"]), @r#"
    exit 0
    unpacked    ~/.local/share/navtrace/extension  the extension 0.1.0
    registered  ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    written     ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall

    Next, in Chromium:
      1. Open chrome://extensions and turn Developer mode on.
      2. Choose "Load unpacked" and this folder: ~/.local/share/navtrace/extension
      3. In its Details, turn "Allow in Incognito" on, for Incognito windows and for the pages of test clients.
    The extension's popup then shows the state, and `navtrace doctor` checks it.
    For a span id per request (detailed mode), start the browser with --allowlisted-extension-id=aalhdoofknlgjgclnnkjbegphicaohme
    "#);
    assert_snapshot!(machine.tree(), @"
    .config 700
    .config/chromium 700
    .config/chromium/NativeMessagingHosts 700
    .config/chromium/NativeMessagingHosts/dev.navtrace.host.json 600
    .local 700
    .local/share 700
    .local/share/navtrace 700
    .local/share/navtrace/extension 700
    .local/share/navtrace/installed.json 600
    .local/state 700
    .local/state/navtrace 700
    bin 755
    bin/chromium 755
    ");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(machine.host("chromium")).unwrap()).unwrap();
    assert_eq!(manifest["path"], fs::canonicalize(env!("CARGO_BIN_EXE_navtrace")).unwrap().to_str().unwrap());
    let extension = machine.home().join(".local/share/navtrace/extension");
    assert!(extension.join("manifest.json").is_file());
    for entry in fs::read_dir(&extension).unwrap().flatten() {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }

    let installed = machine.tree();
    let written = || fs::metadata(machine.host("chromium")).unwrap().modified().unwrap();
    let when = written();
    let again = machine.run(&["install", "chromium"]);
    assert_snapshot!(again.lines().take(4).collect::<Vec<_>>().join("\n"), @"
    exit 0
    unchanged   ~/.local/share/navtrace/extension  the extension 0.1.0
    unchanged   ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    unchanged   ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall
    ");
    assert_eq!((machine.tree(), written()), (installed, when));

    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 0
    removed     ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall

    Remove the extension itself on chrome://extensions, in each browser that has loaded it.
    ");
    assert_eq!(machine.tree(), before);
    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 0
    navtrace is not registered for this user
    ");
    assert_snapshot!(machine.run(&["uninstall", "brave", "edge"]), @"
    exit 0
    navtrace is not registered with Brave and Microsoft Edge for this user
    ");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_dry_run_reports_the_same_and_writes_nothing() {
    let machine = Machine::with(&["chromium", "brave"]);
    let before = machine.tree();
    let dry = machine.run(&["install", "--dry-run"]);
    let (in_folder, lines): (Vec<&str>, Vec<&str>) = dry.lines().partition(|line| line.starts_with("    "));
    assert!(in_folder.contains(&"            manifest.json written") && in_folder.len() > 20, "{dry}");
    assert_eq!(machine.tree(), before);
    let real = machine.run(&["install"]);
    assert_eq!(lines[..5], real.lines().take(5).collect::<Vec<_>>());
    assert_eq!(lines[5..], ["", "Nothing was changed: this is what would be done."]);

    let installed = machine.tree();
    let dry = machine.run(&["uninstall", "--dry-run"]);
    let lines: Vec<&str> = dry.lines().filter(|line| !line.starts_with("    ")).collect();
    assert_eq!(machine.tree(), installed);
    let real = machine.run(&["uninstall"]);
    assert_eq!(lines[..5], real.lines().take(5).collect::<Vec<_>>());
    assert_eq!(machine.tree(), before);

    fs::create_dir_all(machine.host("chromium")).unwrap();
    assert!(machine.run(&["install", "chromium", "--dry-run"]).starts_with("exit 1\n"));
}

#[test]
fn an_unknown_or_missing_browser_changes_nothing() {
    let machine = Machine::with(&["chromium"]);
    let before = machine.tree();
    assert_snapshot!(machine.run(&["install", "braev"]), @"
    exit 2
    error: invalid value 'braev' for '[BROWSER]...'
      [possible values: chromium, chrome, chrome-for-testing, brave, edge, vivaldi]

      tip: a similar value exists: 'brave'

    For more information, try '--help'.
    ");
    assert_snapshot!(machine.run(&["install", "chromium", "vivaldi"]), @"
    exit 127
    navtrace: Vivaldi was not found: there is no vivaldi-stable or vivaldi on PATH, and no ~/.config/vivaldi; start it once, or name its profile with --user-data-dir
    ");
    assert_snapshot!(machine.run(&["install", "--user-data-dir", "nowhere"]), @"
    exit 127
    navtrace: --user-data-dir nowhere: No such file or directory (os error 2); start the browser with it once, or make it, and run this again
    ");
    assert_snapshot!(machine.run(&["install", "--system", "vivaldi"]), @"
    exit 127
    navtrace: Vivaldi was not found: there is no vivaldi-stable or vivaldi on PATH, and no ~/.config/vivaldi; start it once
    ");
    let contradicting = machine.run(&["install", "chromium", "--user-data-dir", "bin"]);
    assert!(contradicting.starts_with("exit 2\n"), "{contradicting}");
    assert_eq!(machine.tree(), before);
    fs::remove_file(machine.home().join("bin/chromium")).unwrap();
    assert_snapshot!(machine.run(&["install"]), @"
    exit 127
    navtrace: no browser was found: looked for Chromium, Google Chrome, Chrome for Testing, Brave, Microsoft Edge and Vivaldi on PATH and for their profiles in ~/.config; start one once and run navtrace install chromium, or name its profile with --user-data-dir
    ");
}

#[test]
fn a_missing_home_is_reported() {
    let machine = Machine::with(&["chromium"]);
    for (name, home) in [("install", None), ("install", Some("relative")), ("uninstall", None)] {
        let mut command = machine.command(&[name]);
        command.env_remove("HOME").envs(home.map(|home| ("HOME", home)));
        let text = machine.exit_and_output(&command.output().unwrap());
        allow_duplicates! {
            assert_snapshot!(text, @"
            exit 1
            navtrace: there is no home directory, so the browsers' directories are unknown: set HOME to an absolute path
            ");
        }
    }
}

#[test]
fn xdg_variables_decide_where_files_go() {
    let machine = Machine::with(&[]);
    let home = machine.home();
    fs::create_dir_all(home.join("config/vivaldi")).unwrap();
    let run = |args: &[&str]| {
        let mut command = machine.command(args);
        for name in ["CONFIG", "DATA", "STATE", "CACHE"] {
            command.env(format!("XDG_{name}_HOME"), home.join(name.to_lowercase()));
        }
        machine.exit_and_output(&command.output().unwrap())
    };
    let before = machine.tree();
    assert!(run(&["install"]).contains(" ~/config/vivaldi/NativeMessagingHosts/dev.navtrace.host.json  for Vivaldi\n"));
    assert!(home.join("data/navtrace/extension/manifest.json").exists());
    assert!(run(&["uninstall"]).starts_with("exit 0\n"));
    assert_eq!(machine.tree(), before);
}

#[test]
fn one_of_two_browsers_can_be_unregistered() {
    let machine = Machine::with(&["chromium", "brave"]);
    let before = machine.tree();
    machine.run(&["install"]);
    assert_snapshot!(machine.run(&["uninstall", "chromium"]), @"
    exit 0
    removed     ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    left        ~/.local/share/navtrace/extension  the extension, for Brave
    ");
    assert!(!machine.home().join(".config/chromium").exists());
    assert_snapshot!(machine.run(&["uninstall", "brave"]), @"
    exit 0
    removed     ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json  for Brave
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall

    Remove the extension itself on chrome://extensions, in each browser that has loaded it.
    ");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_user_data_directory_can_be_registered_alone() {
    let machine = Machine::with(&[]);
    let profile = machine.home().join("ein Profil, für Tests");
    fs::create_dir(&profile).unwrap();
    let before = machine.tree();
    let dir = profile.to_str().unwrap();
    let installed = machine.run(&["install", "--user-data-dir", dir]);
    assert_snapshot!(installed.lines().take(6).collect::<Vec<_>>().join("\n"), @"
    exit 0
    unpacked    ~/.local/share/navtrace/extension  the extension 0.1.0
    registered  ~/ein Profil, für Tests/NativeMessagingHosts/dev.navtrace.host.json  for the user data directory ~/ein Profil, für Tests
    written     ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall

    Next, in the user data directory ~/ein Profil, für Tests:
    ");
    let dry = machine.run(&["uninstall", "--user-data-dir", dir, "--dry-run"]);
    assert!(dry.starts_with("exit 0\nremoved     ~/ein Profil, für Tests/NativeMessagingHosts/"), "{dry}");
    // The directory need not be named again.
    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 0
    removed     ~/ein Profil, für Tests/NativeMessagingHosts/dev.navtrace.host.json  for the user data directory ~/ein Profil, für Tests
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall

    Remove the extension itself on chrome://extensions, in each browser that has loaded it.
    ");
    assert_eq!(machine.tree(), before);
    assert_snapshot!(machine.run(&["uninstall", "--user-data-dir", dir]), @"
    exit 0
    navtrace is not registered in ~/ein Profil, für Tests
    ");
}

#[test]
fn the_users_own_extension_folder_is_not_copied() {
    let machine = Machine::with(&["chromium"]);
    let folder = format!("{}/extension", env!("CARGO_MANIFEST_DIR"));
    let output = machine.command(&["install"]).env("NAVTRACE_EXTENSION", &folder).output().unwrap();
    let text = machine.exit_and_output(&output);
    assert!(text.contains(&format!("\"Load unpacked\" and this folder: {folder}\n")), "{text}");
    assert!(!machine.home().join(".local/share/navtrace/extension").exists());
    let output = machine.command(&["install"]).env("NAVTRACE_EXTENSION", machine.home()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(": it has no manifest.json; name a folder"), "{}", stderr(&output));
}

#[test]
fn home_and_binary_may_have_spaces_and_umlauts() {
    let mut machine = Machine::with(&["chromium"]);
    let home = machine.home().join("Zuhause bei Jürgen");
    fs::create_dir(&home).unwrap();
    machine.copy_binary(home.join("mein navtrace"));
    let before = machine.tree();
    let run = |args: &[&str]| machine.exit_and_output(&machine.command(args).env("HOME", &home).output().unwrap());
    assert!(run(&["install"]).contains("and this folder: ~/Zuhause bei Jürgen/.local/share/navtrace/extension\n"));
    let manifest = fs::read_to_string(home.join(".config/chromium").join(HOST)).unwrap();
    assert!(manifest.contains("Zuhause bei Jürgen/mein navtrace\""), "{manifest}");
    assert!(run(&["uninstall"]).starts_with("exit 0\n"));
    assert_eq!(machine.tree(), before);
}
