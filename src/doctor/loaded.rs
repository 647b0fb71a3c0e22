//! Checks the extension in the profiles of a browser.

use std::collections::BTreeSet;
use std::path::Path;

use crate::doctor::profile::{self, LoadOrigin, LoadedExtension, Profile};
use crate::doctor::{CheckStatus, Finding};
use crate::launch::extension::{self, FolderContent};

/// The subject of findings about the extension.
const EXTENSION: &str = "extension";

/// Checks every profile that has the extension loaded, or all if none has.
///
/// `host` is the version of the host that the extension gets, and `install` the command that explains how to load it.
pub(super) fn findings(profiles: &[Profile], host: Option<&str>, install: &str) -> Vec<Finding> {
    let is_loaded = profiles.iter().any(Profile::has_loaded);
    let mut findings = Vec::new();
    if !is_loaded {
        let text = format!(
            "not loaded in any profile, unless an argument of the browser does it; `{install}` says how to load it"
        );
        findings.push(Finding::new(CheckStatus::Hint, EXTENSION, text));
    }
    let is_alone = profiles.len() == 1 && profiles[0].name == "Default";
    for profile in profiles.iter().filter(|profile| profile.has_loaded() || !is_loaded) {
        let prefix = if is_alone { String::new() } else { format!("profile {}: ", profile.name) };
        let add = |status, subject, text: String| Finding::new(status, subject, format!("{prefix}{text}"));
        findings.extend(profile.problem.iter().map(|problem| add(CheckStatus::Warn, EXTENSION, problem.clone())));
        let Some(own) = &profile.extension else { continue };
        let state = own.path.as_ref().map(|folder| state(host, own, folder, install));
        let is_broken = state.as_ref().is_some_and(|(status, _)| *status == CheckStatus::Fail);
        findings.extend(state.map(|(status, text)| add(status, EXTENSION, text)));
        // Repairing the extension may change the rest.
        if !is_broken {
            let (status, text) = off_the_record(own);
            findings.push(add(status, "Incognito", text.to_owned()));
            findings.extend(developer_mode(profile, own).map(|(status, text)| add(status, "developer mode", text)));
        }
    }
    findings
}

/// Describes the loaded extension. `host` is the version of the host that it gets.
fn state(host: Option<&str>, own: &LoadedExtension, folder: &Path, install: &str) -> (CheckStatus, String) {
    let this = env!("CARGO_PKG_VERSION");
    let shown = folder.display();
    let again = format!("run `{install}` and do what it says");
    let reload = "reload the extension in chrome://extensions";
    let content = extension::compare(folder);
    let version = match &content {
        FolderContent::Broken(reason) => {
            let text = format!("{shown}, where it was loaded from, holds no navtrace extension: {reason}; {again}");
            return (CheckStatus::Fail, text);
        }
        FolderContent::Version(version) => version.as_str(),
        FolderContent::Same | FolderContent::Changed(_) => this,
    };
    if !own.disable_reasons.is_empty() {
        let text = format!("turned off in chrome://extensions: {}", explain(&own.disable_reasons));
        return (CheckStatus::Fail, text);
    }
    if let Some(host) = host.filter(|host| *host != version) {
        let text = format!("{shown} has version {version}, but the host is {host}: {again}, then {reload}");
        return (CheckStatus::Fail, text);
    }
    match (&content, own.origin) {
        (FolderContent::Changed(file), _) => {
            let text = format!(
                "{version}, but {file} in {shown} is not as this navtrace has it: unless you changed it, {again}, then {reload}"
            );
            (CheckStatus::Warn, text)
        }
        (_, LoadOrigin::Argument) => {
            (CheckStatus::Ok, format!("{version}, last loaded by an argument of the browser, from {shown}"))
        }
        _ => (CheckStatus::Ok, format!("{version}, loaded from {shown}")),
    }
}

/// Explains why the extension is off and what turns it on.
fn explain(disable_reasons: &BTreeSet<u64>) -> String {
    let reason = |bit: &u64| match *bit {
        profile::USER => "by hand, so turn it on there".to_owned(),
        profile::PERMISSIONS => "it asks for more than it was allowed, so turn it on there and agree".to_owned(),
        profile::RELOAD => "it could not be loaded again, so reload it there".to_owned(),
        profile::CORRUPTED => "its files were changed, so remove it there and load it again".to_owned(),
        profile::POLICY => "by a policy (see chrome://policy)".to_owned(),
        profile::DEVELOPER_MODE => "developer mode is off, so turn that on there".to_owned(),
        other => format!("for a reason of the browser's (number {other}), which it shows there"),
    };
    disable_reasons.iter().map(reason).collect::<Vec<_>>().join("; ")
}

fn off_the_record(own: &LoadedExtension) -> (CheckStatus, &'static str) {
    if own.off_the_record {
        return (CheckStatus::Ok, "the extension is allowed in Incognito");
    }
    let text = "the extension is not allowed in Incognito, where test clients open their pages: allow it in its Details on \
                chrome://extensions";
    (CheckStatus::Hint, text)
}

/// Warns if developer mode is off, because Chromium turns unpacked extensions off then at its next start.
fn developer_mode(profile: &Profile, own: &LoadedExtension) -> Option<(CheckStatus, String)> {
    let is_missed = own.origin == LoadOrigin::Unpacked && own.disable_reasons.is_empty() && !profile.developer_mode;
    let text = "off, so the browser turns the extension off when it starts again: turn it on in chrome://extensions";
    is_missed.then(|| (CheckStatus::Warn, text.to_owned()))
}
