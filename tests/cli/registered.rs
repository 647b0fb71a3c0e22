//! `navtrace install` and `navtrace uninstall`, for one user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use insta::{allow_duplicates, assert_snapshot};

use crate::navtrace::{Environment, stderr, stdout};

const HOST: &str = "NativeMessagingHosts/dev.navtrace.host.json";

/// A machine of which one user has a browser or two.
struct Machine {
    environment: Environment,
    binary: PathBuf,
}

impl Machine {
    /// One with the programs of these browsers on PATH.
    fn with(programs: &[&str]) -> Self {
        let environment = Environment::new();
        fs::create_dir(environment.home().join("bin")).unwrap();
        for program in programs {
            environment.program(&format!("bin/{program}"), "");
        }
        Self { environment, binary: env!("CARGO_BIN_EXE_navtrace").into() }
    }

    fn home(&self) -> &Path {
        self.environment.home()
    }

    /// navtrace, to be run in this environment.
    fn command(&self, args: &[&str]) -> Command {
        let command = self.environment.navtrace(args);
        let mut other = Command::new(&self.binary);
        other.args(args).env("PATH", self.home().join("bin"));
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => other.env(name, value),
                None => other.env_remove(name),
            };
        }
        other
    }

    /// Runs navtrace and gives its exit code and all that it said.
    fn run(&self, args: &[&str]) -> String {
        self.told(&self.command(args).output().unwrap())
    }

    fn told(&self, output: &Output) -> String {
        let text = format!("exit {}\n{}{}", output.status.code().unwrap(), stdout(output), stderr(output));
        self.plain(&text)
    }

    /// A text without what differs from run to run.
    fn plain(&self, text: &str) -> String {
        let canonical = fs::canonicalize(self.home()).unwrap();
        text.replace(env!("CARGO_BIN_EXE_navtrace"), "NAVTRACE")
            .replace(canonical.to_str().unwrap(), "~")
            .replace(self.home().to_str().unwrap(), "~")
    }

    /// Everything at home with its mode, the extension's own files left out.
    fn tree(&self) -> String {
        let mut lines = Vec::new();
        list(self.home(), self.home(), &mut lines);
        lines.sort();
        lines.join("\n")
    }

    fn host(&self, browser: &str) -> PathBuf {
        self.home().join(".config").join(browser).join(HOST)
    }
}

fn list(dir: &Path, base: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let path = entry.path();
        lines.push(format!("{} {mode:o}", path.strip_prefix(base).unwrap().display()));
        if entry.file_type().unwrap().is_dir() && !path.ends_with("navtrace/extension") {
            list(&path, base, lines);
        }
    }
}

#[test]
fn what_is_installed_is_the_users_alone_and_goes_away_again_without_a_trace() {
    let machine = Machine::with(&["chromium"]);
    let before = machine.tree();
    assert_snapshot!(machine.run(&["install"]), @r#"
    exit 0
    unpacked    ~/.local/share/navtrace/extension  the extension 0.1.0
    registered  ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    written     ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by

    Next, in Chromium:
      1. Open chrome://extensions and turn Developer mode on.
      2. Choose "Load unpacked" and this folder: ~/.local/share/navtrace/extension
      3. In its Details, turn "Allow in Incognito" on, for private windows and for the pages of test clients.
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
    unchanged   ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by
    ");
    assert_eq!((machine.tree(), written()), (installed, when));

    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 0
    removed     ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by

    The extension itself you remove on chrome://extensions, in each browser that has loaded it.
    ");
    assert_eq!(machine.tree(), before);
    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 0
    nothing of navtrace's is registered for this user
    ");
    assert_snapshot!(machine.run(&["uninstall", "brave", "edge"]), @"
    exit 0
    nothing of navtrace's is registered with Brave and Microsoft Edge for this user
    ");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
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
fn a_browser_that_is_unknown_or_not_here_changes_nothing() {
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
fn a_home_that_nobody_names_is_missed() {
    let machine = Machine::with(&["chromium"]);
    for (name, home) in [("install", None), ("install", Some("relative")), ("uninstall", None)] {
        let mut command = machine.command(&[name]);
        command.env_remove("HOME").envs(home.map(|home| ("HOME", home)));
        let words = machine.told(&command.output().unwrap());
        allow_duplicates! {
            assert_snapshot!(words, @"
            exit 1
            navtrace: there is no home directory, so nobody knows where browsers look: set HOME to an absolute path
            ");
        }
    }
}

#[test]
fn the_environment_says_where_files_go() {
    let machine = Machine::with(&[]);
    let home = machine.home();
    fs::create_dir_all(home.join("config/vivaldi")).unwrap();
    let run = |args: &[&str]| {
        let mut command = machine.command(args);
        for name in ["CONFIG", "DATA", "STATE", "CACHE"] {
            command.env(format!("XDG_{name}_HOME"), home.join(name.to_lowercase()));
        }
        machine.told(&command.output().unwrap())
    };
    let before = machine.tree();
    assert!(run(&["install"]).contains(" ~/config/vivaldi/NativeMessagingHosts/dev.navtrace.host.json  for Vivaldi\n"));
    assert!(home.join("data/navtrace/extension/manifest.json").exists());
    assert!(run(&["uninstall"]).starts_with("exit 0\n"));
    assert_eq!(machine.tree(), before);
}

#[test]
fn what_is_not_navtraces_is_left_and_the_rest_is_done() {
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
    left        ~/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json  for Google Chrome: something else's, not navtrace's
    left        ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json  for Brave: a directory, not navtrace's
    left        ~/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json  for Microsoft Edge: a symbolic link, not navtrace's
    left        ~/.config/vivaldi/NativeMessagingHosts/dev.navtrace.host.json  for Vivaldi: ~/.config/vivaldi/NativeMessagingHosts can't be written: Not a directory (os error 20)
    written     ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by

    Next, in Chromium:
      1. Open chrome://extensions and turn Developer mode on.
      2. Choose "Load unpacked" and this folder: ~/.local/share/navtrace/extension
      3. In its Details, turn "Allow in Incognito" on, for private windows and for the pages of test clients.
    The extension's popup then shows the state, and `navtrace doctor` checks it.
    For a span id per request (detailed mode), start the browser with --allowlisted-extension-id=aalhdoofknlgjgclnnkjbegphicaohme
    navtrace: ~/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json is something else's, not navtrace's, so Google Chrome is not registered: move it away and run navtrace install again
    navtrace: ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json is a directory, not navtrace's, so Brave is not registered: move it away and run navtrace install again
    navtrace: ~/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json is a symbolic link, not navtrace's, so Microsoft Edge is not registered: move it away and run navtrace install again
    navtrace: ~/.config/vivaldi/NativeMessagingHosts can't be written: Not a directory (os error 20), so Vivaldi is not registered: mend that and run navtrace install again
    navtrace: everything else is done
    "#);
    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 1
    removed     ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    left        ~/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json  for Google Chrome: something else's, not navtrace's
    left        ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json  for Brave: a directory, not navtrace's
    left        ~/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json  for Microsoft Edge: a symbolic link, not navtrace's
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by

    The extension itself you remove on chrome://extensions, in each browser that has loaded it.
    navtrace: ~/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json is something else's, not navtrace's, so it is left: move it away if nobody needs it
    navtrace: ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json is a directory, not navtrace's, so it is left: move it away if nobody needs it
    navtrace: ~/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json is a symbolic link, not navtrace's, so it is left: move it away if nobody needs it
    ");
    assert_eq!(machine.tree(), before);
    // When there is nobody else, nothing is done at all.
    assert_snapshot!(machine.run(&["install", "brave"]), @"
    exit 1
    left        ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json  for Brave: a directory, not navtrace's
    navtrace: ~/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json is a directory, not navtrace's, so Brave is not registered: move it away and run navtrace install again
    ");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_place_for_the_extension_that_cannot_be_written_is_named_before_anything_is_registered() {
    let machine = Machine::with(&["chromium"]);
    fs::write(machine.home().join(".local"), "a file").unwrap();
    let before = machine.tree();
    for dry in [None, Some("--dry-run")] {
        let words = machine.run(&[Some("install"), dry].into_iter().flatten().collect::<Vec<_>>());
        allow_duplicates! {
            assert_snapshot!(words, @"
            exit 1
            navtrace: ~/.local can't be written: Not a directory (os error 20), so there is no place for the extension: mend that, or name a folder that holds it with NAVTRACE_EXTENSION
            ");
        }
        assert_eq!(machine.tree(), before);
    }
}

#[test]
fn one_of_two_browsers_can_be_taken_away() {
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
    removed     ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by

    The extension itself you remove on chrome://extensions, in each browser that has loaded it.
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
    written     ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by

    Next, in the user data directory ~/ein Profil, für Tests:
    ");
    let dry = machine.run(&["uninstall", "--user-data-dir", dir, "--dry-run"]);
    assert!(dry.starts_with("exit 0\nremoved     ~/ein Profil, für Tests/NativeMessagingHosts/"), "{dry}");
    // It is found again without being named.
    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 0
    removed     ~/ein Profil, für Tests/NativeMessagingHosts/dev.navtrace.host.json  for the user data directory ~/ein Profil, für Tests
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by

    The extension itself you remove on chrome://extensions, in each browser that has loaded it.
    ");
    assert_eq!(machine.tree(), before);
    assert_snapshot!(machine.run(&["uninstall", "--user-data-dir", dir]), @"
    exit 0
    nothing of navtrace's is registered in ~/ein Profil, für Tests
    ");
}

#[test]
fn a_folder_of_ones_own_is_not_copied() {
    let machine = Machine::with(&["chromium"]);
    let folder = format!("{}/extension", env!("CARGO_MANIFEST_DIR"));
    let output = machine.command(&["install"]).env("NAVTRACE_EXTENSION", &folder).output().unwrap();
    let words = machine.told(&output);
    assert!(words.contains(&format!("\"Load unpacked\" and this folder: {folder}\n")), "{words}");
    assert!(!machine.home().join(".local/share/navtrace/extension").exists());
    let output = machine.command(&["install"]).env("NAVTRACE_EXTENSION", machine.home()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(": it has no manifest.json; name a folder"), "{}", stderr(&output));
}

#[test]
fn the_extension_is_mended_and_what_it_no_longer_has_goes() {
    let machine = Machine::with(&["chromium"]);
    let before = machine.tree();
    machine.run(&["install"]);
    let share = machine.home().join(".local/share/navtrace");
    let extension = share.join("extension");
    let whole = fs::read(extension.join("manifest.json")).unwrap();
    // As an earlier version has left it, with something of the user's.
    let receipt = fs::read_to_string(share.join("installed.json")).unwrap();
    let receipt =
        receipt.replace("\"manifest.json\"", "\"manifest.json\", \"old/page.js\", \"../../../../bin/chromium\"");
    fs::write(share.join("installed.json"), receipt).unwrap();
    fs::create_dir(extension.join("old")).unwrap();
    fs::write(extension.join("old/page.js"), "old").unwrap();
    fs::write(extension.join("manifest.json"), "{}").unwrap();
    fs::write(extension.join("mine.txt"), "mine").unwrap();
    let words = machine.run(&["install", "--dry-run"]);
    assert_eq!(
        words.lines().filter(|line| line.starts_with("    ")).map(str::trim).collect::<Vec<_>>(),
        ["manifest.json written", "old/page.js removed"]
    );
    assert!(machine.run(&["install"]).contains("updated     ~/.local/share/navtrace/extension  "));
    assert_eq!(fs::read(extension.join("manifest.json")).unwrap(), whole);
    assert!(!extension.join("old").exists() && extension.join("mine.txt").exists());
    let words = machine.run(&["uninstall"]);
    assert!(
        words.contains("left        ~/.local/share/navtrace/extension  with what navtrace has not put there\n"),
        "{words}"
    );
    assert_eq!(fs::read_dir(&extension).unwrap().count(), 1);
    fs::remove_dir_all(machine.home().join(".local")).unwrap();
    assert_eq!(machine.tree(), before);
}

#[test]
fn settings_spans_and_caches_are_left_and_named() {
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
    let words = machine.run(&["uninstall"]);
    assert_snapshot!(words, @"
    exit 0
    removed     ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium
    removed     ~/.local/share/navtrace/extension  the extension
    removed     ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by
    left        ~/.local/state/navtrace  spans and traces that are kept, yours to delete
    left        ~/.cache/navtrace  what navtrace would make again, yours to delete
    left        ~/.config/navtrace/config.toml  your settings, yours to delete

    The extension itself you remove on chrome://extensions, in each browser that has loaded it.
    ");
    for line in words.lines().filter(|line| line.starts_with("left ")) {
        assert!(dry.contains(line), "{dry}");
    }
    assert_eq!(fs::read_dir(machine.home().join(".local/state/navtrace")).unwrap().count(), 1);
}

#[test]
fn two_versions_side_by_side_know_each_other() {
    let mut machine = Machine::with(&["chromium"]);
    let before = machine.tree();
    let other = machine.home().join("ältere Version/navtrace");
    fs::create_dir(other.parent().unwrap()).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_navtrace"), &other).unwrap();
    machine.binary = other.clone();
    assert!(machine.run(&["install"]).starts_with("exit 0\n"));

    let this = env!("CARGO_BIN_EXE_navtrace");
    machine.binary = this.into();
    assert_snapshot!(machine.run(&["uninstall"]), @"
    exit 1
    left        ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium: of another navtrace, ~/ältere Version/navtrace
    navtrace: ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json is of another navtrace that is still there, so it is left: '~/ältere Version/navtrace' uninstall removes it
    ");
    let first_lines = |words: String| words.lines().take(4).collect::<Vec<_>>().join("\n");
    assert_snapshot!(first_lines(machine.run(&["install"])), @"
    exit 0
    unchanged   ~/.local/share/navtrace/extension  the extension 0.1.0
    taken over  ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium, from ~/ältere Version/navtrace
    unchanged   ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by
    ");

    // The other way round, and then the other one is moved.
    machine.binary = other.clone();
    assert!(machine.run(&["install"]).contains("taken over"));
    let moved = other.with_file_name("navtrace moved");
    fs::rename(&other, &moved).unwrap();
    machine.binary = moved;
    assert_snapshot!(first_lines(machine.run(&["install"])), @"
    exit 0
    unchanged   ~/.local/share/navtrace/extension  the extension 0.1.0
    mended      ~/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json  for Chromium: it named ~/ältere Version/navtrace, which is gone
    unchanged   ~/.local/share/navtrace/installed.json  what navtrace uninstall goes by
    ");
    fs::remove_dir_all(other.parent().unwrap()).unwrap();
    machine.binary = this.into();
    assert!(machine.run(&["uninstall"]).starts_with("exit 0\n"));
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_home_and_a_binary_with_spaces_and_other_letters_are_as_good() {
    let mut machine = Machine::with(&["chromium"]);
    let home = machine.home().join("Zuhause bei Jürgen");
    fs::create_dir(&home).unwrap();
    machine.binary = home.join("mein navtrace");
    fs::copy(env!("CARGO_BIN_EXE_navtrace"), &machine.binary).unwrap();
    let before = machine.tree();
    let run = |args: &[&str]| machine.told(&machine.command(args).env("HOME", &home).output().unwrap());
    assert!(run(&["install"]).contains("and this folder: ~/Zuhause bei Jürgen/.local/share/navtrace/extension\n"));
    let manifest = fs::read_to_string(home.join(".config/chromium").join(HOST)).unwrap();
    assert!(manifest.contains("Zuhause bei Jürgen/mein navtrace\""), "{manifest}");
    assert!(run(&["uninstall"]).starts_with("exit 0\n"));
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_user_data_directory_that_cannot_be_written_is_named() {
    let machine = Machine::with(&[]);
    let before = machine.tree();
    // Not even root may write there.
    let words = machine.run(&["install", "--user-data-dir", "/proc/self"]);
    assert!(words.starts_with("exit 1\nleft        /proc/"), "{words}");
    let (_, sentence) = words.split_once("\nnavtrace: /proc/").unwrap();
    assert!(sentence.contains(" can't be written: ") && sentence.contains(" is not registered: mend that"), "{words}");
    assert_eq!(machine.tree(), before);
}
