//! The extension and its rivals in the profiles of a browser, in words.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cli::doctor::installed::of_profile;
use crate::cli::doctor::line::{Line, Mark};
use crate::install::inspect::Place;
use crate::install::inspect::profile::{self, Extension, Origin, Profile};
use crate::install::inspect::rivals::{self, Rival};
use crate::launch::extension::{self, Content};

/// What the lines about the extension begin with.
const LINK: &str = "extension";

/// Says of every profile that has the extension how it is there; of all when none has. `mend` is the command that says how to load it.
pub(super) fn lines(place: &Place, mend: &str) -> Vec<Line> {
    let loaded = |profile: &Profile| profile.extension(extension::ID).is_some_and(|own| own.path.is_some());
    let has = place.profiles.iter().any(loaded);
    let mut lines = Vec::new();
    if !has {
        let sentence = format!(
            "not loaded in any profile, unless an argument of the browser does it; `{mend}` says how to load it"
        );
        lines.push(Line::new(Mark::Hint, LINK, sentence));
    }
    for profile in place.profiles.iter().filter(|profile| loaded(profile) || !has) {
        let of = of_profile(place, &profile.name);
        lines.extend(profile.problem.iter().map(|problem| Line::new(Mark::Warn, LINK, format!("{of}{problem}"))));
        if let Some(own) = profile.extension(extension::ID) {
            let state = own.path.as_ref().map(|folder| state(place.effective().version(), own, folder, mend));
            // What is to be mended first may change the rest.
            let works = state.as_ref().is_none_or(|(mark, _)| *mark != Mark::Fail);
            lines.extend(state.map(|(mark, sentence)| Line::new(mark, LINK, format!("{of}{sentence}"))));
            if works {
                lines.push(off_the_record(own, &of));
                lines.extend(developer_mode(profile, own, &of));
            }
        }
        lines.extend(rivals::find(profile).iter().map(|rival| other_extension(rival, &of)));
    }
    lines
}

/// Says how the extension is; `host` is the version of the host that it gets.
fn state(host: Option<&str>, own: &Extension, folder: &Path, mend: &str) -> (Mark, String) {
    let this = env!("CARGO_PKG_VERSION");
    let shown = folder.display();
    let again = format!("run `{mend}` and do what it says");
    let reload = "reload the extension in chrome://extensions";
    let content = extension::compare(folder);
    let version = match &content {
        Content::Broken(reason) => {
            return (
                Mark::Fail,
                format!("{shown}, where it was loaded from, holds no navtrace extension: {reason}; {again}"),
            );
        }
        Content::Version(version) => version.as_str(),
        Content::Same | Content::Changed(_) => this,
    };
    if !own.off.is_empty() {
        return (Mark::Fail, format!("turned off in chrome://extensions: {}", reasons(&own.off)));
    }
    match host {
        Some(host) if host != version => {
            let sentence = format!("{shown} has version {version}, but the host is {host}: {again}, then {reload}");
            return (Mark::Fail, sentence);
        }
        _ => {}
    }
    match (&content, own.origin) {
        (Content::Changed(file), _) => {
            let sentence = format!(
                "{version}, but {file} in {shown} is not as this navtrace has it: unless you changed it, {again}, then {reload}"
            );
            (Mark::Warn, sentence)
        }
        (_, Origin::Argument) => {
            (Mark::Ok, format!("{version}, last loaded by an argument of the browser, from {shown}"))
        }
        _ => (Mark::Ok, format!("{version}, loaded from {shown}")),
    }
}

/// Says why the extension is off and what turns it on.
fn reasons(off: &BTreeSet<u64>) -> String {
    let reason = |bit: &u64| match *bit {
        profile::USER => "by hand, so turn it on there".to_owned(),
        profile::PERMISSIONS => "it asks for more than it was allowed, so turn it on there and agree".to_owned(),
        profile::RELOAD => "it could not be loaded again, so reload it there".to_owned(),
        profile::CORRUPTED => "its files were changed, so remove it there and load it again".to_owned(),
        profile::POLICY => "by a policy (below, and in chrome://policy)".to_owned(),
        profile::DEVELOPER_MODE => "developer mode is off, so turn that on there".to_owned(),
        other => format!("for a reason of the browser's (number {other}), which it shows there"),
    };
    off.iter().map(reason).collect::<Vec<_>>().join("; ")
}

fn off_the_record(own: &Extension, of: &str) -> Line {
    const LINK: &str = "off the record";
    if own.off_the_record {
        return Line::new(Mark::Ok, LINK, format!("{of}the extension may act in off-the-record windows"));
    }
    let sentence = format!(
        "{of}the extension may not act in off-the-record windows, which are what test clients open: to allow it, chrome://extensions, Details, \
         Allow in Incognito"
    );
    Line::new(Mark::Hint, LINK, sentence)
}

/// Chromium turns unpacked extensions off at its next start while developer mode is off.
fn developer_mode(profile: &Profile, own: &Extension, of: &str) -> Option<Line> {
    let missed = own.origin == Origin::Unpacked && own.off.is_empty() && !profile.developer_mode;
    let sentence =
        "off, so the browser turns the extension off when it starts again: turn it on in chrome://extensions";
    missed.then(|| Line::new(Mark::Warn, "developer mode", format!("{of}{sentence}")))
}

fn other_extension(Rival { id, name, header }: &Rival, of: &str) -> Line {
    let called = if name == id { id.clone() } else { format!("{name} ({id})") };
    let sentence = format!(
        "{of}{called} mentions {header}, so it may set the same headers: turn it off, or keep navtrace from its addresses with NAVTRACE_EXCLUDE"
    );
    Line::new(Mark::Warn, "other extension", sentence)
}
