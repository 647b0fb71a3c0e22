//! Tests `navtrace install` and `navtrace uninstall` with files of others, of another navtrace and of the user in their place.

use std::fs;
use std::os::unix::fs::symlink;

use insta::{allow_duplicates, assert_snapshot};

use crate::machine::Machine;

#[test]
fn files_of_others_are_kept_and_the_rest_is_installed() {
    let machine = Machine::with(&["chromium", "brave", "vivaldi", "microsoft-edge", "google-chrome"]);
    let foreign = |browser: &str| {
        let path = machine.host(browser);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    fs::write(foreign("google-chrome"), r#"{"name":"dev.navtrace.host","path":"/x","allowed_origins":["other"]}"#)
        .unwrap();
    fs::create_dir(foreign("BraveSoftware/Brave-Browser")).unwrap();
    symlink("nowhere", foreign("microsoft-edge")).unwrap();
    fs::create_dir_all(machine.home().join(".config/vivaldi")).unwrap();
    fs::write(machine.home().join(".config/vivaldi/NativeMessagingHosts"), "a file").unwrap();
    let before = machine.tree();
    assert_snapshot!(machine.run(&["install"]), @r#"
    exit 1
    unpacked    ~/.local/share/navtrace/extension  the extension 0.1.0
    registered  ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    left        ~/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json  for Google Chrome: a file of another program, not navtrace's
    left        ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json  for Brave: a directory, not navtrace's
    left        ~/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json  for Microsoft Edge: a symbolic link, not navtrace's
    left        ~/.config/vivaldi/NativeMessagingHosts/dev.navtrace.host.json  for Vivaldi: ~/.config/vivaldi/NativeMessagingHosts can't be written: Not a directory (os error 20)
    written     ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall

    Next, in Chromium:
      1. Open chrome://extensions and turn Developer mode on.
      2. Choose "Load unpacked" and this folder: ~/.local/share/navtrace/extension
      3. In its Details, turn "Allow in Incognito" on, for Incognito windows and for the pages of test clients.
    The extension's popup then shows the state, and `navtrace doctor` checks it.
    For a span id per request (detailed mode), start the browser with --allowlisted-extension-id=aalhdoofknlgjgclnnkjbegphicaohme
    navtrace: ~/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json is a file of another program, not navtrace's, so Google Chrome is not registered: move it away and run navtrace install again
    navtrace: ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json is a directory, not navtrace's, so Brave is not registered: move it away and run navtrace install again
    navtrace: ~/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json is a symbolic link, not navtrace's, so Microsoft Edge is not registered: move it away and run navtrace install again
    navtrace: ~/.config/vivaldi/NativeMessagingHosts can't be written: Not a directory (os error 20), so Vivaldi is not registered: fix that and run navtrace install again
    navtrace: everything else is done
    "#);
    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 1
    removed     ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    left        ~/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json  for Google Chrome: a file of another program, not navtrace's
    left        ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json  for Brave: a directory, not navtrace's
    left        ~/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json  for Microsoft Edge: a symbolic link, not navtrace's
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall

    Remove the extension itself on chrome://extensions, in each browser that has loaded it.
    navtrace: ~/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json is a file of another program, not navtrace's, so it is left: move it away if no program needs it
    navtrace: ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json is a directory, not navtrace's, so it is left: move it away if no program needs it
    navtrace: ~/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json is a symbolic link, not navtrace's, so it is left: move it away if no program needs it
    ");
    assert_eq!(machine.tree(), before);
    // With no other browser, nothing is done.
    assert_snapshot!(machine.run(&["install", "brave"]), @"
    exit 1
    left        ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json  for Brave: a directory, not navtrace's
    navtrace: ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json is a directory, not navtrace's, so Brave is not registered: move it away and run navtrace install again
    ");
    assert_eq!(machine.tree(), before);
}

#[test]
fn an_unwritable_extension_folder_stops_the_installation() {
    let machine = Machine::with(&["chromium"]);
    fs::write(machine.home().join(".local"), "a file").unwrap();
    let before = machine.tree();
    for dry in [None, Some("--dry-run")] {
        let text = machine.run(&[Some("install"), dry].into_iter().flatten().collect::<Vec<_>>());
        allow_duplicates! {
            assert_snapshot!(text, @"
            exit 1
            navtrace: ~/.local can't be written: Not a directory (os error 20), so there is no place for the extension: fix that, or name a folder that holds it with NAVTRACE_EXTENSION
            ");
        }
        assert_eq!(machine.tree(), before);
    }
}

#[test]
fn the_extension_is_repaired_and_old_files_are_removed() {
    let machine = Machine::with(&["chromium"]);
    let before = machine.tree();
    machine.run(&["install"]);
    let share = machine.home().join(".local/share/navtrace");
    let extension = share.join("extension");
    let whole = fs::read(extension.join("manifest.json")).unwrap();
    // As an earlier version would have left it, with a file of the user.
    let record = fs::read_to_string(share.join("installed.json")).unwrap();
    let record =
        record.replace("\"manifest.json\"", "\"manifest.json\", \"old/page.js\", \"../../../../bin/chromium\"");
    fs::write(share.join("installed.json"), record).unwrap();
    fs::create_dir(extension.join("old")).unwrap();
    fs::write(extension.join("old/page.js"), "old").unwrap();
    fs::write(extension.join("manifest.json"), "{}").unwrap();
    fs::write(extension.join("mine.txt"), "mine").unwrap();
    let text = machine.run(&["install", "--dry-run"]);
    assert_eq!(
        text.lines().filter(|line| line.starts_with("    ")).map(str::trim).collect::<Vec<_>>(),
        ["manifest.json written", "old/page.js removed"]
    );
    assert!(machine.run(&["install"]).contains("updated     ~/.local/share/navtrace/extension  "));
    assert_eq!(fs::read(extension.join("manifest.json")).unwrap(), whole);
    assert!(!extension.join("old").exists() && extension.join("mine.txt").exists());
    let text = machine.run(&["uninstall"]);
    assert!(
        text.contains("left        ~/.local/share/navtrace/extension  contains files that are not navtrace's\n"),
        "{text}"
    );
    assert_eq!(fs::read_dir(&extension).unwrap().count(), 1);
    fs::remove_dir_all(machine.home().join(".local")).unwrap();
    assert_eq!(machine.tree(), before);
}

#[test]
fn uninstall_keeps_settings_spans_and_caches() {
    let machine = Machine::with(&["chromium"]);
    machine.run(&["install"]);
    for (folder, file) in
        [(".config/navtrace", "config.toml"), (".local/state/navtrace/spool", "1"), (".cache/navtrace", "x")]
    {
        fs::create_dir_all(machine.home().join(folder)).unwrap();
        fs::write(machine.home().join(folder).join(file), "").unwrap();
    }
    fs::create_dir_all(machine.home().join(".local/state/navtrace/sessions")).unwrap();
    let dry = machine.run(&["uninstall", "--dry-run"]);
    let text = machine.run(&["uninstall"]);
    assert_snapshot!(text, @"
    exit 0
    removed     ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall
    left        ~/.local/state/navtrace  stored spans and traces; delete them if you do not need them
    left        ~/.cache/navtrace  copies of the extension, created again when needed; safe to delete
    left        ~/.config/navtrace/config.toml  your settings; delete them if you do not need them

    Remove the extension itself on chrome://extensions, in each browser that has loaded it.
    ");
    for line in text.lines().filter(|line| line.starts_with("left ")) {
        assert!(dry.contains(line), "{dry}");
    }
    assert_eq!(fs::read_dir(machine.home().join(".local/state/navtrace")).unwrap().count(), 1);
}

#[test]
fn two_versions_replace_and_spare_each_other() {
    let mut machine = Machine::with(&["chromium"]);
    let before = machine.tree();
    let other = machine.home().join("ältere Version/navtrace");
    fs::create_dir(other.parent().unwrap()).unwrap();
    machine.copy_binary(other.clone());
    assert!(machine.run(&["install"]).starts_with("exit 0\n"));

    let this = env!("CARGO_BIN_EXE_navtrace");
    machine.binary = this.into();
    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 1
    left        ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium: of another navtrace, ~/ältere Version/navtrace
    navtrace: ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json belongs to another navtrace, so it is left: run '~/ältere Version/navtrace' uninstall to remove it
    ");
    let first_lines = |text: String| text.lines().take(4).collect::<Vec<_>>().join("\n");
    assert_snapshot!(first_lines(machine.run(&["install"])), @"
    exit 0
    unchanged   ~/.local/share/navtrace/extension  the extension 0.1.0
    taken over  ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium, from ~/ältere Version/navtrace
    unchanged   ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall
    ");

    // The other way round. Then the other binary is moved.
    machine.binary = other.clone();
    assert!(machine.run(&["install"]).contains("taken over"));
    let moved = other.with_file_name("navtrace moved");
    fs::rename(&other, &moved).unwrap();
    machine.binary = moved;
    assert_snapshot!(first_lines(machine.run(&["install"])), @"
    exit 0
    unchanged   ~/.local/share/navtrace/extension  the extension 0.1.0
    repaired    ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium: it named ~/ältere Version/navtrace, which is gone
    unchanged   ~/.local/share/navtrace/installed.json  the list of installed files for navtrace uninstall
    ");
    fs::remove_dir_all(other.parent().unwrap()).unwrap();
    machine.binary = this.into();
    assert!(machine.run(&["uninstall"]).starts_with("exit 0\n"));
    assert_eq!(machine.tree(), before);
}

#[test]
fn an_unwritable_user_data_directory_is_named() {
    let machine = Machine::with(&[]);
    let before = machine.tree();
    // Even root can't write there.
    let text = machine.run(&["install", "--user-data-dir", "/proc/self"]);
    assert!(text.starts_with("exit 1\nleft        /proc/"), "{text}");
    let (_, sentence) = text.split_once("\nnavtrace: /proc/").unwrap();
    assert!(sentence.contains(" can't be written: ") && sentence.contains(" is not registered: fix that"), "{text}");
    assert_eq!(machine.tree(), before);
}
