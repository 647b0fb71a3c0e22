//! Checks the layout of `src`: which top-level module uses which, where modules stand, and how long files are.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The top-level modules in their order. A module may use only those before it.
const MODULES: [&str; 15] = [
    "base", "context", "observe", "export", "collect", "view", "check", "compare", "launch", "install", "run",
    "channel", "doctor", "settings", "cli",
];

/// Longest file, in lines.
const MAX_LINES: usize = 350;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns every file below `dir` with its content, sorted by its path within `src`.
fn files(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Returns the top-level module of a file; `None` for `main.rs` and `lib.rs`, which see every module.
fn module_of(file: &str) -> Option<&str> {
    let module = file.split_once('/').map_or_else(|| file.strip_suffix(".rs").unwrap(), |(module, _)| module);
    MODULES.contains(&module).then_some(module)
}

fn position(module: &str) -> usize {
    MODULES.iter().position(|known| *known == module).unwrap()
}

#[test]
fn threads_are_started_where_a_failure_is_an_error() {
    // std's own functions panic where a container allows no more threads.
    let starts: Vec<String> = files(&source())
        .into_iter()
        .filter(|(file, _)| !file.ends_with("tests.rs"))
        .filter(|(_, text)| text.split("#[cfg(test)]\nmod tests {").next().unwrap().contains("thread::spawn("))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(starts, [""; 0]);
}

#[test]
fn every_module_of_the_crate_has_a_place_in_the_order() {
    let modules: BTreeSet<String> = files(&source())
        .into_iter()
        .filter(|(file, _)| !["lib.rs", "main.rs"].contains(&file.as_str()))
        .map(|(file, _)| file.split(['/', '.']).next().unwrap().to_owned())
        .collect();
    assert_eq!(modules, MODULES.map(str::to_owned).into());
}

#[test]
fn modules_use_only_modules_before_them() {
    let path = Regex::new(r"\bcrate::(\w+|\{)").unwrap();
    let mut violations = BTreeSet::new();
    for (file, text) in files(&source()) {
        let Some(own) = module_of(&file) else { continue };
        for found in path.captures_iter(&text) {
            let used = found.get(1).unwrap().as_str();
            assert_ne!(used, "{", "{file}: write one `use` per module, so that this test can read it");
            assert!(MODULES.contains(&used), "{file}: crate::{used} is not in the order of modules");
            if position(used) > position(own) {
                violations.insert((file.clone(), used.to_owned()));
            }
        }
    }
    assert!(violations.is_empty(), "these files use a module that comes later: {violations:?}");
}

#[test]
fn a_module_with_children_is_a_file_beside_its_folder() {
    for (file, _) in files(&source()) {
        assert!(!file.ends_with("mod.rs"), "{file}: name it after its folder, beside the folder");
        for folder in Path::new(&file).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            let parent = source().join(folder).with_extension("rs");
            assert!(parent.is_file(), "{file}: {} is missing", parent.display());
        }
    }
}

#[test]
fn no_file_is_too_long() {
    let long = files(&source()).into_iter().filter(|(_, text)| text.lines().count() > MAX_LINES);
    let long: Vec<String> = long.map(|(file, _)| file).collect();
    assert!(long.is_empty(), "these files have more than {MAX_LINES} lines: {long:?}");
}

#[test]
fn what_is_compiled_in_is_in_the_package() {
    let file = Regex::new(r#"include_str!\("([^"]+)"\)"#).unwrap();
    let manifest = fs::read_to_string(source().parent().unwrap().join("Cargo.toml")).unwrap();
    let own = manifest.lines().find_map(|line| line.strip_prefix("include = ")).unwrap();
    for (name, text) in files(&source()).into_iter().filter(|(name, _)| !name.ends_with("tests.rs")) {
        for found in file.captures_iter(text.split("#[cfg(test)]\nmod tests {").next().unwrap()) {
            let path = source().join(&name).parent().unwrap().join(&found[1]).canonicalize().unwrap();
            let top = path.strip_prefix(source().parent().unwrap()).unwrap().components().next().unwrap();
            assert!(own.contains(&format!("\"/{}\"", top.as_os_str().to_str().unwrap())), "{name}: {}", path.display());
        }
    }
}
