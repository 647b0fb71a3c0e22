//! Decides what to do with a manifest's path, given what is there. Pure.

use std::path::PathBuf;

use crate::install::scope::ManifestLocation;

/// The current content of a manifest's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExistingManifest {
    Missing,
    /// A manifest of navtrace's.
    Ours {
        program: PathBuf,
        names: NamedProgram,
        /// Whether an installation would write exactly this content.
        is_current: bool,
    },
    /// Something else, described in a few words.
    Foreign(&'static str),
    /// The path cannot be read, for this reason.
    Unreadable(String),
}

/// The kind of program that a manifest of navtrace's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedProgram {
    /// This navtrace.
    This,
    /// Another program, which exists.
    Other,
    /// A program that does not exist.
    Missing,
}

/// An action on a manifest, with the details to print.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ManifestAction {
    /// Write it, with this status.
    Write(&'static str, String),
    /// Keep it, because it is as it should be.
    Keep(String),
    Remove(String),
    /// Leave it alone, although something else was asked for. Has the details, and a sentence about the problem.
    Leave(String, String),
    /// Do and print nothing.
    Skip,
}

/// Decides what an installation does with the manifest.
pub(super) fn install(location: &ManifestLocation, existing: &ExistingManifest) -> ManifestAction {
    let browsers = &location.browsers;
    let path = location.path.display();
    match existing {
        ExistingManifest::Missing => ManifestAction::Write("registered", format!("for {browsers}")),
        ExistingManifest::Ours { is_current: true, names: NamedProgram::This, .. } => {
            ManifestAction::Keep(format!("for {browsers}"))
        }
        ExistingManifest::Ours { names: NamedProgram::This, .. } => {
            ManifestAction::Write("updated", format!("for {browsers}"))
        }
        ExistingManifest::Ours { names: NamedProgram::Other, program, .. } => {
            ManifestAction::Write("taken over", format!("for {browsers}, from {}", program.display()))
        }
        ExistingManifest::Ours { names: NamedProgram::Missing, program, .. } => {
            ManifestAction::Write("repaired", format!("for {browsers}: it named {}, which is gone", program.display()))
        }
        ExistingManifest::Foreign(what) => ManifestAction::Leave(
            format!("for {browsers}: {what}, not navtrace's"),
            format!(
                "{path} is {what}, not navtrace's, so {browsers} is not registered: move it away and run navtrace install again"
            ),
        ),
        ExistingManifest::Unreadable(error) => ManifestAction::Leave(
            format!("for {browsers}: {error}"),
            format!(
                "{path} can't be read, so {browsers} is not registered: {error}; fix that and run navtrace install again"
            ),
        ),
    }
}

/// Decides what an uninstallation does with the manifest. `other` is the program that it names, quoted for a shell.
pub(super) fn uninstall(location: &ManifestLocation, existing: &ExistingManifest, other: &str) -> ManifestAction {
    let browsers = &location.browsers;
    let path = location.path.display();
    match existing {
        ExistingManifest::Missing => ManifestAction::Skip,
        ExistingManifest::Ours { names: NamedProgram::Other, program, .. } => ManifestAction::Leave(
            format!("for {browsers}: of another navtrace, {}", program.display()),
            format!("{path} belongs to another navtrace, so it is left: run {other} uninstall to remove it"),
        ),
        ExistingManifest::Ours { .. } => ManifestAction::Remove(format!("for {browsers}")),
        ExistingManifest::Foreign(what) => ManifestAction::Leave(
            format!("for {browsers}: {what}, not navtrace's"),
            format!("{path} is {what}, not navtrace's, so it is left: move it away if no program needs it"),
        ),
        ExistingManifest::Unreadable(error) => ManifestAction::Leave(
            format!("for {browsers}: {error}"),
            format!("{path} can't be read, so it is left: {error}; fix that and run navtrace uninstall again"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_existing_manifest_decides() {
        let location = ManifestLocation { path: "/hosts/x.json".into(), browsers: "Chromium".to_owned() };
        let ours = |names, is_current| ExistingManifest::Ours { program: "/other/navtrace".into(), names, is_current };
        let all = [
            ExistingManifest::Missing,
            ours(NamedProgram::This, true),
            ours(NamedProgram::This, false),
            ours(NamedProgram::Other, false),
            ours(NamedProgram::Missing, false),
            ExistingManifest::Foreign("a directory"),
            ExistingManifest::Unreadable("Input/output error".to_owned()),
        ];
        let table = all.iter().fold(String::new(), |mut text, existing| {
            let _ = writeln!(text, "{:?}", install(&location, existing));
            let _ = writeln!(text, "  {:?}", uninstall(&location, existing, "/other/navtrace"));
            text
        });
        insta::assert_snapshot!(table, @r#"
        Write("registered", "for Chromium")
          Skip
        Keep("for Chromium")
          Remove("for Chromium")
        Write("updated", "for Chromium")
          Remove("for Chromium")
        Write("taken over", "for Chromium, from /other/navtrace")
          Leave("for Chromium: of another navtrace, /other/navtrace", "/hosts/x.json belongs to another navtrace, so it is left: run /other/navtrace uninstall to remove it")
        Write("repaired", "for Chromium: it named /other/navtrace, which is gone")
          Remove("for Chromium")
        Leave("for Chromium: a directory, not navtrace's", "/hosts/x.json is a directory, not navtrace's, so Chromium is not registered: move it away and run navtrace install again")
          Leave("for Chromium: a directory, not navtrace's", "/hosts/x.json is a directory, not navtrace's, so it is left: move it away if no program needs it")
        Leave("for Chromium: Input/output error", "/hosts/x.json can't be read, so Chromium is not registered: Input/output error; fix that and run navtrace install again")
          Leave("for Chromium: Input/output error", "/hosts/x.json can't be read, so it is left: Input/output error; fix that and run navtrace uninstall again")
        "#);
    }
}
