use super::*;
use crate::launch::client_variables::ClientVariable;

/// An environment with these variables.
fn environment(variables: &[(&'static str, &Path)]) -> impl Fn(&str) -> Option<OsString> + use<> {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_os_str().to_owned())).collect();
    move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

fn on_path(dir: &Path) -> impl Fn(&str) -> Option<OsString> + use<> {
    environment(&[("PATH", dir)])
}

fn program(dir: &Path, name: &str, script: &str) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn headless_shell_is_refused_under_any_name() {
    let dir = tempfile::tempdir().unwrap();
    let shell = program(dir.path(), "chrome-headless-shell", "");
    let link = dir.path().join("chromium");
    std::os::unix::fs::symlink(&shell, &link).unwrap();
    for path in [&shell, &link] {
        assert_eq!(
            find(Some(path)).unwrap_err().to_string(),
            format!(
                "{} is chrome-headless-shell, which loads no extensions, so nothing could be traced: use Chromium or Chrome for \
                 Testing (set NAVTRACE_BROWSER to its path)",
                path.display()
            )
        );
    }
}

#[test]
fn branded_chrome_is_recognised_by_its_version() {
    let dir = tempfile::tempdir().unwrap();
    for (version, fits) in [
        ("Google Chrome 136.0.7103.92", true),
        ("Google Chrome 137.0.7151.55", false),
        ("Google Chrome for Testing 140.0.7339.82", true),
        ("Chromium 156.0.8078.73", true),
    ] {
        let path = program(dir.path(), "google-chrome", &format!("echo '{version} '"));
        assert_eq!(find(Some(&path)).is_ok(), fits, "{version}");
    }
}

#[test]
fn a_later_candidate_is_preferred_to_branded_chrome() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "chrome", "echo 'Google Chrome 150.0.0.0'");
    let error = find_in(None, &on_path(dir.path())).unwrap_err().to_string();
    assert!(error.contains(" is Google Chrome 150, which loads no extensions"), "{error}");
    let brave = program(dir.path(), "brave-browser", "");
    assert_eq!(find_in(None, &on_path(dir.path())).unwrap().path, brave);
}

#[test]
fn an_unusable_name_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    fs::write(&text, "").unwrap();
    let missing = dir.path().join("missing");
    let itself = std::env::current_exe().unwrap();
    for (path, exit, problem) in [
        (&text, ExitCode::CannotExecute, "not an executable file"),
        (&dir.path().to_owned(), ExitCode::CannotExecute, "not an executable file"),
        (&missing, ExitCode::NotFound, "no such program"),
        (&itself, ExitCode::CannotExecute, "that is navtrace itself"),
    ] {
        let failure = find(Some(path)).unwrap_err();
        let message = format!("NAVTRACE_BROWSER={}: {problem}; set it to the path of a Chromium", path.display());
        assert_eq!((failure.exit, failure.to_string()), (exit, message));
    }
    let failure = find_in(None, &on_path(dir.path())).unwrap_err();
    assert_eq!((failure.exit, failure.to_string()), (ExitCode::NotFound, NOT_FOUND.to_owned()));
}

#[test]
fn a_clients_variable_names_the_browser() {
    let dir = tempfile::tempdir().unwrap();
    let on_path = program(dir.path(), "bin/chromium", "");
    let bin = on_path.parent().unwrap();
    let (one, other) = (program(dir.path(), "one", ""), program(dir.path(), "other", ""));
    let branded = program(dir.path(), "google-chrome", "echo Google Chrome 150.0");
    let ours = dir.path().join("old/navtrace-chromium");
    let found = |named: Option<&Path>, variables: &[(&'static str, &Path)]| {
        find_in(named, &environment(&[variables, &[("PATH", bin)]].concat()))
    };
    for ClientVariable { name: variable, is_shared, .. } in CLIENT_VARIABLES {
        let browser = found(None, &[(variable, &one)]).unwrap();
        assert_eq!((browser.path, browser.reason), (one.clone(), format!("named by {variable}")));
        assert_eq!(browser.warnings, [""; 0]);
        assert_eq!(found(Some(&other), &[(variable, &one)]).unwrap().path, other, "the setting wins");
        assert_eq!(found(None, &[(variable, Path::new("chromium"))]).unwrap().path, on_path);
        assert_eq!(found(None, &[(variable, &ours)]).unwrap().reason, "the first on PATH");
        let gone: [(&str, &Path); 1] = [(variable, Path::new("/no/browser"))];
        if is_shared {
            let browser = found(None, &gone).unwrap();
            let sentence = format!(
                "{variable}=/no/browser is not used: no such program; navtrace starts {} (the first on PATH); set NAVTRACE_BROWSER to choose another",
                on_path.display()
            );
            assert_eq!((browser.path, browser.warnings), (on_path.clone(), vec![sentence]));
        }
        let failure = find_in(None, &environment(&gone)).unwrap_err();
        let sentence =
            format!("{variable}=/no/browser: no such program; set it to the path of a Chromium, or unset it");
        assert_eq!((failure.exit, failure.to_string()), (ExitCode::NotFound, sentence));
    }

    let browser = found(None, &[("K6_BROWSER_EXECUTABLE_PATH", &one), ("CHROME_BIN", &other), ("CHROME_PATH", &one)]);
    let sentence = format!(
        "CHROME_BIN={} is not used; navtrace starts {} (named by K6_BROWSER_EXECUTABLE_PATH); set NAVTRACE_BROWSER to choose another",
        other.display(),
        one.display()
    );
    assert_eq!(browser.unwrap().warnings, [sentence]);
    let browser = found(None, &[("CHROME_BIN", &branded)]).unwrap();
    let sentence = format!(
        "CHROME_BIN={} is not used: Google Chrome 150 loads no extensions; navtrace starts {} (the first on PATH); set \
         NAVTRACE_BROWSER to choose another",
        branded.display(),
        on_path.display()
    );
    assert_eq!((browser.path, browser.warnings), (on_path.clone(), vec![sentence]));
    let failure = find_in(None, &environment(&[("CHROME_BIN", &branded)])).unwrap_err().to_string();
    assert!(failure.contains("google-chrome is Google Chrome 150, which loads no extensions"), "{failure}");
}

#[test]
fn links_of_a_run_are_no_browsers_on_path() {
    let dir = tempfile::tempdir().unwrap();
    let links = dir.path().join("navtrace-run-1/bin");
    fs::create_dir_all(&links).unwrap();
    // Another build than this one.
    program(&links, "chromium", "");
    let real = program(dir.path(), "real/chromium", "");
    let search_path = std::env::join_paths([&links, real.parent().unwrap()]).unwrap();
    let variables = environment(&[("PATH", Path::new(&search_path))]);
    assert_eq!(find_in(None, &variables).unwrap().path, real);
    assert_eq!(find_in(Some(Path::new("chromium")), &variables).unwrap().path, real);
}

#[test]
fn the_caches_of_clients_are_looked_in_last() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    let bin = home.join("bin");
    let reason = |owner: &str| format!("from {owner}'s cache, since PATH has none");
    let expect = |variables: &[(&'static str, &Path)], path: &Path, owner: &str| {
        let found = find_in(None, &environment(&[variables, &[("PATH", bin.as_path())]].concat())).unwrap();
        assert_eq!((found.path.as_path(), found.reason), (path, reason(owner)));
    };
    let home_only: [(&'static str, &Path); 1] = [("HOME", home)];
    let playwright = home.join(".cache/ms-playwright");
    // None of these may be asked for its version: it would fail.
    program(&playwright, "chromium_headless_shell-1300/chrome-headless-shell-linux64/chrome-headless-shell", "exit 1");
    assert!(find_in(None, &environment(&home_only)).is_err());
    let older = program(&playwright, "chromium-999/chrome-linux/chrome", "echo Google Chrome 150.0");
    expect(&home_only, &older, "Playwright");
    let newer = program(&playwright, "chromium-1100/chrome-linux/chrome", "");
    expect(&home_only, &newer, "Playwright");
    let testing = program(&playwright, "chromium-1050/chrome-linux64/chrome", "echo Google Chrome 150.0");
    expect(&home_only, &testing, "Playwright");
    let puppeteer = home.join(".cache/puppeteer");
    program(&puppeteer, "chromium/linux-1500000/chrome-linux/chrome", "");
    expect(&home_only, &testing, "Playwright");
    program(&puppeteer, "chrome/linux-99.0.1.2/chrome-linux64/chrome", "");
    let newest = program(&puppeteer, "chrome/linux-131.0.6778.204/chrome-linux64/chrome", "");
    expect(&home_only, &newest, "Puppeteer");

    // A link of `navtrace run` is no browser.
    let registry = home.join("registry");
    let link = registry.join("chromium-1300/chrome-linux64/chrome");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &link).unwrap();
    expect(&[("HOME", home), ("PLAYWRIGHT_BROWSERS_PATH", &registry)], &newest, "Puppeteer");

    let elsewhere = home.join("elsewhere");
    let moved = program(&elsewhere, "chrome/linux-99.0.1.2/chrome-linux64/chrome", "");
    expect(&[("PUPPETEER_CACHE_DIR", &elsewhere)], &moved, "Puppeteer");
    expect(&[("PLAYWRIGHT_BROWSERS_PATH", &playwright)], &testing, "Playwright");
    expect(&[("XDG_CACHE_HOME", &home.join(".cache"))], &testing, "Playwright");
    let installed = program(&bin, "chromium", "");
    let found = find_in(None, &environment(&[("HOME", home), ("PATH", &bin)])).unwrap();
    assert_eq!((found.path, found.reason.as_str()), (installed, "the first on PATH"));
}
