//! Tests the registry of browsers that Playwright is given during a run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::launch::assert_gone;
use crate::navtrace::{Environment, stderr, stdout};

/// Prints every path in the registry, with the targets of links.
const LIST: &str =
    r#"cd "$PLAYWRIGHT_BROWSERS_PATH" && find . -mindepth 1 ! -type d -printf '%P -> %l\n' | sed 's/ -> $//' | sort"#;

/// A home with browsers, and a project with Playwright.
struct Home {
    environment: Environment,
}

impl Home {
    fn new() -> Self {
        let home = Self { environment: Environment::new() };
        home.browser("chromium", "on PATH");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.environment.home().join(name)
    }

    /// Creates a browser that says its name, and whether it is headless.
    fn browser(&self, path: &str, name: &str) -> PathBuf {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        let script = format!(r#"echo "{name}$(printf ' %s' "$@" | grep -o ' --headless[^ ]*')""#);
        self.environment.program(path, &script)
    }

    /// Creates a package of Playwright with this revision of Chromium.
    fn package(&self, folder: &str, revision: &str) {
        fs::create_dir_all(self.path(folder)).unwrap();
        let browsers = format!(
            r#"{{"browsers": [
                {{"name": "chromium", "revision": "{revision}", "installByDefault": true}},
                {{"name": "chromium-headless-shell", "revision": "{revision}"}},
                {{"name": "chromium-/../../x", "revision": "1"}}, {{"name": "chromium", "revision": 7}}, [], 3,
                {{"name": "firefox", "revision": "1572"}}]}}"#
        );
        fs::write(self.path(folder).join("browsers.json"), browsers).unwrap();
    }

    /// Returns a run of a shell script in a folder of the home.
    fn run(&self, folder: &str, script: &str) -> Command {
        fs::create_dir_all(self.path(folder)).unwrap();
        let mut run = self.environment.navtrace(["run", "--", "sh", "-c", script]);
        run.env("PATH", format!("{}:{}", self.path("").display(), std::env::var("PATH").unwrap()));
        run.current_dir(self.path(folder));
        run
    }

    /// Returns what a run prints.
    fn printed(&self, run: &mut Command) -> String {
        let output = run.output().unwrap();
        assert_gone(&self.environment);
        assert!(output.status.success(), "{}", stderr(&output));
        // The links of the run all lead to the binary under test.
        let binary = fs::canonicalize(env!("CARGO_BIN_EXE_navtrace")).unwrap();
        stdout(&output)
            .replace(binary.to_str().unwrap(), "NAVTRACE")
            .replace(self.environment.home().to_str().unwrap(), "HOME")
    }
}

/// The command that starts a browser of the registry.
fn start(path: &str) -> String {
    format!(r#""$PLAYWRIGHT_BROWSERS_PATH/{path}" --version"#)
}

#[test]
fn the_users_registry_is_mirrored_with_navtrace_as_every_chromium() {
    let home = Home::new();
    let registry = ".cache/ms-playwright";
    home.browser(&format!("{registry}/firefox-1572/firefox/firefox"), "fox");
    home.browser(&format!("{registry}/chromium-1200/chrome-linux/chrome"), "own 1200");
    home.browser(&format!("{registry}/chromium_headless_shell-1200/chrome-linux/headless_shell"), "shell");
    fs::create_dir_all(home.path(&format!("{registry}/.links"))).unwrap();
    fs::write(home.path(&format!("{registry}/.links/3b8e")), "/package").unwrap();
    fs::create_dir_all(home.path(&format!("{registry}/__dirlock"))).unwrap();
    symlink("/nowhere", home.path(&format!("{registry}/webkit-2388"))).unwrap();
    symlink("/nowhere", home.path(&format!("{registry}/chromium-1300"))).unwrap();
    home.package("project/node_modules/playwright-core", "1255");
    fs::set_permissions(home.path(registry), fs::Permissions::from_mode(0o555)).unwrap();
    insta::assert_snapshot!(home.printed(&mut home.run("project/tests", LIST)), @r"
    .links/3b8e -> HOME/.cache/ms-playwright/.links/3b8e
    chromium-1200/DEPENDENCIES_VALIDATED
    chromium-1200/INSTALLATION_COMPLETE
    chromium-1200/chrome-linux-arm64/chrome -> NAVTRACE
    chromium-1200/chrome-linux/chrome -> NAVTRACE
    chromium-1200/chrome-linux64/chrome -> NAVTRACE
    chromium-1200/own-browser -> HOME/.cache/ms-playwright/chromium-1200/chrome-linux/chrome
    chromium-1255/DEPENDENCIES_VALIDATED
    chromium-1255/INSTALLATION_COMPLETE
    chromium-1255/chrome-linux-arm64/chrome -> NAVTRACE
    chromium-1255/chrome-linux/chrome -> NAVTRACE
    chromium-1255/chrome-linux64/chrome -> NAVTRACE
    chromium-1300/DEPENDENCIES_VALIDATED
    chromium-1300/INSTALLATION_COMPLETE
    chromium-1300/chrome-linux-arm64/chrome -> NAVTRACE
    chromium-1300/chrome-linux/chrome -> NAVTRACE
    chromium-1300/chrome-linux64/chrome -> NAVTRACE
    chromium_headless_shell-1200/DEPENDENCIES_VALIDATED
    chromium_headless_shell-1200/INSTALLATION_COMPLETE
    chromium_headless_shell-1200/chrome-headless-shell-linux-arm64/chrome-headless-shell -> NAVTRACE
    chromium_headless_shell-1200/chrome-headless-shell-linux64/chrome-headless-shell -> NAVTRACE
    chromium_headless_shell-1200/chrome-linux/headless_shell -> NAVTRACE
    chromium_headless_shell-1200/own-browser -> HOME/.cache/ms-playwright/chromium-1200/chrome-linux/chrome
    chromium_headless_shell-1255/DEPENDENCIES_VALIDATED
    chromium_headless_shell-1255/INSTALLATION_COMPLETE
    chromium_headless_shell-1255/chrome-headless-shell-linux-arm64/chrome-headless-shell -> NAVTRACE
    chromium_headless_shell-1255/chrome-headless-shell-linux64/chrome-headless-shell -> NAVTRACE
    chromium_headless_shell-1255/chrome-linux/headless_shell -> NAVTRACE
    firefox-1572 -> HOME/.cache/ms-playwright/firefox-1572
    webkit-2388 -> HOME/.cache/ms-playwright/webkit-2388
    ");

    // Each starts the user's own of its revision, or else the one of the run. A headless build can't be started, so another is started headless.
    let starts = [
        "chromium-1200/chrome-linux/chrome",
        "chromium_headless_shell-1200/chrome-linux/headless_shell",
        "chromium-1255/chrome-linux64/chrome",
        "chromium_headless_shell-1255/chrome-headless-shell-linux64/chrome-headless-shell",
        "chromium-1300/chrome-linux/chrome",
        "firefox-1572/firefox/firefox",
    ]
    .map(start)
    .join(" && ");
    let all = "own 1200\nown 1200 --headless\non PATH\non PATH --headless\non PATH\nfox\n";
    assert_eq!(home.printed(&mut home.run("project", &starts)), all);
    // Also for a client that hides the environment.
    let hidden = start("chromium-1200/chrome-linux/chrome");
    let hidden = format!(r#"env -i PATH="$PATH" HOME="$HOME" TMPDIR="$TMPDIR" {hidden}"#);
    assert_eq!(home.printed(&mut home.run("project", &hidden)), "own 1200\n");

    // What the user chose is started in the place of all of them, even if a script of the command chose it.
    let brave = home.browser("brave", "chosen");
    let chosen = "chosen\nchosen --headless\nchosen\nchosen --headless\nchosen\nfox\n";
    for variable in ["NAVTRACE_BROWSER", "CHROME_BIN"] {
        assert_eq!(home.printed(home.run("project", &starts).env(variable, &brave)), chosen, "{variable}");
    }
    let exported = format!("export NAVTRACE_BROWSER={} && {starts}", brave.display());
    assert_eq!(home.printed(&mut home.run("project", &exported)), chosen);

    // Nothing of the user's was changed.
    let left = fs::read_dir(home.path(registry)).unwrap().count();
    assert_eq!((left, home.path(&format!("{registry}/firefox-1572/firefox/firefox")).is_file()), (7, true));
    fs::set_permissions(home.path(registry), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_registry_is_where_playwright_looks() {
    let home = Home::new();
    let set = r#"echo "${PLAYWRIGHT_BROWSERS_PATH-unset}""#;
    assert_eq!(home.printed(&mut home.run("", set)), "unset\n", "nothing is known of Playwright");
    home.browser("empty/firefox-1572/firefox/firefox", "fox");
    let empty = home.path("empty");
    let kept = format!("{}\n", empty.display()).replace(home.environment.home().to_str().unwrap(), "HOME");
    assert_eq!(home.printed(home.run("", set).env("PLAYWRIGHT_BROWSERS_PATH", &empty)), kept, "it has no Chromium");

    home.browser("elsewhere/chromium-1100/chrome-linux/chrome", "elsewhere");
    let started = start("chromium-1100/chrome-linux/chrome");
    for named in [home.path("elsewhere").to_str().unwrap(), "../elsewhere"] {
        let mut run = home.run("project", &started);
        assert_eq!(home.printed(run.env("PLAYWRIGHT_BROWSERS_PATH", named)), "elsewhere\n", "{named}");
    }
    // npm changes the folder, and tells in which one it was called.
    let mut run = home.run("project/package/tests", &started);
    run.env("PLAYWRIGHT_BROWSERS_PATH", "../elsewhere").env("INIT_CWD", home.path("project"));
    assert_eq!(home.printed(&mut run), "elsewhere\n");

    // With 0 the browsers are in the package, and are found there even if there is no other.
    home.package("project/node_modules/playwright-core", "1255");
    let local = "project/node_modules/playwright-core/.local-browsers";
    home.browser(&format!("{local}/chromium-1255/chrome-linux64/chrome"), "local");
    home.browser(&format!("{local}/firefox-1572/firefox/firefox"), "fox");
    let both = [start("chromium-1255/chrome-linux64/chrome"), start("firefox-1572/firefox/firefox")].join(" && ");
    assert_eq!(home.printed(home.run("project", &both).env("PLAYWRIGHT_BROWSERS_PATH", "0")), "local\nfox\n");
    fs::remove_file(home.path("chromium")).unwrap();
    fs::create_dir(home.path("bin")).unwrap();
    symlink("/bin/sh", home.path("bin/sh")).unwrap();
    let mut run = home.run("project", r#""$CHROME_BIN" --version"#);
    run.env("PATH", home.path("bin")).env("PLAYWRIGHT_BROWSERS_PATH", "0");
    // The script has no `grep` there.
    assert_eq!(home.printed(&mut run), "local\n");
}

#[test]
fn packages_are_found_from_the_command() {
    let home = Home::new();
    let chrome = |revision: &str| start(&format!("chromium-{revision}/chrome-linux64/chrome"));
    // As pnpm lays packages out.
    let store = "pnpm/node_modules/.pnpm";
    home.package(&format!("{store}/playwright-core@1/node_modules/playwright-core"), "1301");
    for (package, dependency) in [
        ("@playwright+test@1/node_modules/@playwright/test", "playwright"),
        ("playwright@1/node_modules/playwright", "playwright-core"),
    ] {
        fs::create_dir_all(home.path(store).join(package)).unwrap();
        let modules = home.path(store).join(package.split_once("/node_modules/").unwrap().0).join("node_modules");
        symlink(home.path(store).join(format!("{dependency}@1/node_modules/{dependency}")), modules.join(dependency))
            .unwrap();
    }
    fs::create_dir_all(home.path("pnpm/node_modules/@playwright")).unwrap();
    let test = home.path(store).join("@playwright+test@1/node_modules/@playwright/test");
    symlink(test, home.path("pnpm/node_modules/@playwright/test")).unwrap();
    assert_eq!(home.printed(&mut home.run("pnpm", &chrome("1301"))), "on PATH\n");

    // Beside the script, which is elsewhere than the folder of the command.
    home.package("e2e/node_modules/playwright-core", "1302");
    let script = home.environment.program("e2e/test", &chrome("1302"));
    let mut run = home.environment.navtrace(["run", "--", "sh"].map(Path::new).into_iter().chain([script.as_path()]));
    run.env("PATH", format!("{}:/usr/bin:/bin", home.path("").display()));
    assert_eq!(home.printed(&mut run), "on PATH\n");

    // In an environment of Python, which is active or has the program.
    home.package("venv/lib/python3.11/site-packages/playwright/driver/package", "1303");
    home.package("other/lib/python3.12/site-packages/playwright/driver/package", "1304");
    assert_eq!(home.printed(&mut home.run("e2e", &chrome("1302"))), "on PATH\n");
    assert_eq!(home.printed(&mut home.run("", &chrome("1303"))), "on PATH\n");
    assert_eq!(home.printed(home.run("e2e", &chrome("1304")).env("VIRTUAL_ENV", home.path("other"))), "on PATH\n");
    fs::create_dir(home.path("other/bin")).unwrap();
    symlink("/bin/sh", home.path("other/bin/python")).unwrap();
    let mut run = home.environment.navtrace([
        "run",
        "--",
        home.path("other/bin/python").to_str().unwrap(),
        "-c",
        &chrome("1304"),
    ]);
    run.env("PATH", format!("{}:/usr/bin:/bin", home.path("").display()));
    assert_eq!(home.printed(&mut run), "on PATH\n");
}

/// Others may write where the run's directory is.
#[test]
fn only_a_private_directory_of_a_run_names_a_browser() {
    let home = Home::new();
    let other = home.browser("other", "of somebody else");
    let beside =
        r#"ln -s "$0" "$TMPDIR/own-browser"; "$CHROME_BIN" --version; chromium --version; rm "$TMPDIR/own-browser""#;
    let mut run = home.run("", beside);
    assert_eq!(home.printed(run.arg(&other)), "on PATH\non PATH\n");

    let forged = r#"
        dir="$TMPDIR/navtrace-run-x"
        folder="$dir/playwright/chromium-1200"
        mkdir -p "$folder/chrome-linux"
        ln -s "$0" "$folder/own-browser"
        ln -s "$(readlink "$CHROME_BIN")" "$folder/chrome-linux/chrome"
        (umask 077 && : >"$dir/variables")
        for mode in 700 770; do
            chmod $mode "$dir" && env -u NAVTRACE_BROWSER "$folder/chrome-linux/chrome" --version
        done
        rm -r "$dir""#;
    assert_eq!(home.printed(home.run("", forged).arg(&other)), "of somebody else\non PATH\n");
}

#[test]
fn a_broken_package_is_as_none() {
    let home = Home::new();
    fs::create_dir_all(home.path("node_modules/playwright-core")).unwrap();
    for text in ["", "{", "[]", r#"{"browsers": {}}"#, r#"{"browsers": [{"name": "chromium"}]}"#] {
        fs::write(home.path("node_modules/playwright-core/browsers.json"), text).unwrap();
        let printed = home.printed(&mut home.run("", r#"echo "${PLAYWRIGHT_BROWSERS_PATH-unset}""#));
        assert_eq!(printed, "unset\n", "{text}");
    }
}
