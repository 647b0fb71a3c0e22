//! Decides what becomes of a manifest by what stands in its place. Pure.

use std::path::PathBuf;

use crate::install::scope::Place;

/// What stands in a manifest's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Present {
    Nothing,
    /// A manifest of navtrace's.
    Ours {
        program: PathBuf,
        condition: Condition,
        /// Whether it is to the letter what an installation would write.
        current: bool,
    },
    /// Something else, with what it is.
    Foreign(&'static str),
    /// It can't be looked at, with the reason.
    Hidden(String),
}

/// The program that a manifest of navtrace's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// This one.
    This,
    /// Another one, which is there.
    Other,
    /// One that is not there.
    Gone,
}

/// What becomes of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is written, with what is said of that.
    Write(&'static str, String),
    /// It is as it should be.
    Keep(String),
    /// It is removed.
    Remove(String),
    /// It is left, which is less than was asked for: with why, in a few words and in a sentence.
    Leave(String, String),
    /// There is nothing to do or to say.
    Pass,
}

/// Decides what an installation makes of it.
pub(super) fn install(place: &Place, present: &Present) -> Step {
    let reader = &place.reader;
    let path = place.manifest.display();
    match present {
        Present::Nothing => Step::Write("registered", format!("for {reader}")),
        Present::Ours { current: true, condition: Condition::This, .. } => Step::Keep(format!("for {reader}")),
        Present::Ours { condition: Condition::This, .. } => Step::Write("updated", format!("for {reader}")),
        Present::Ours { condition: Condition::Other, program, .. } => {
            Step::Write("taken over", format!("for {reader}, from {}", program.display()))
        }
        Present::Ours { condition: Condition::Gone, program, .. } => {
            Step::Write("mended", format!("for {reader}: it named {}, which is gone", program.display()))
        }
        Present::Foreign(what) => Step::Leave(
            format!("for {reader}: {what}, not navtrace's"),
            format!(
                "{path} is {what}, not navtrace's, so {reader} is not registered: move it away and run navtrace install again"
            ),
        ),
        Present::Hidden(error) => Step::Leave(
            format!("for {reader}: {error}"),
            format!(
                "{path} can't be read, so {reader} is not registered: {error}; mend that and run navtrace install again"
            ),
        ),
    }
}

/// Decides what an uninstallation makes of it. `other` is how to call the program that the manifest names.
pub(super) fn uninstall(place: &Place, present: &Present, other: &str) -> Step {
    let reader = &place.reader;
    let path = place.manifest.display();
    match present {
        Present::Nothing => Step::Pass,
        Present::Ours { condition: Condition::Other, program, .. } => Step::Leave(
            format!("for {reader}: of another navtrace, {}", program.display()),
            format!("{path} is of another navtrace that is still there, so it is left: {other} uninstall removes it"),
        ),
        Present::Ours { .. } => Step::Remove(format!("for {reader}")),
        Present::Foreign(what) => Step::Leave(
            format!("for {reader}: {what}, not navtrace's"),
            format!("{path} is {what}, not navtrace's, so it is left: move it away if nobody needs it"),
        ),
        Present::Hidden(error) => Step::Leave(
            format!("for {reader}: {error}"),
            format!("{path} can't be read, so it is left: {error}; mend that and run navtrace uninstall again"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn what_stands_there_decides() {
        let place = Place { manifest: "/hosts/x.json".into(), reader: "Chromium".to_owned() };
        let ours = |condition, current| Present::Ours { program: "/other/navtrace".into(), condition, current };
        let all = [
            Present::Nothing,
            ours(Condition::This, true),
            ours(Condition::This, false),
            ours(Condition::Other, false),
            ours(Condition::Gone, false),
            Present::Foreign("a directory"),
            Present::Hidden("Input/output error".to_owned()),
        ];
        let table = all.iter().fold(String::new(), |mut text, present| {
            let _ = writeln!(text, "{:?}", install(&place, present));
            let _ = writeln!(text, "  {:?}", uninstall(&place, present, "/other/navtrace"));
            text
        });
        insta::assert_snapshot!(table, @r#"
        Write("registered", "for Chromium")
          Pass
        Keep("for Chromium")
          Remove("for Chromium")
        Write("updated", "for Chromium")
          Remove("for Chromium")
        Write("taken over", "for Chromium, from /other/navtrace")
          Leave("for Chromium: of another navtrace, /other/navtrace", "/hosts/x.json is of another navtrace that is still there, so it is left: /other/navtrace uninstall removes it")
        Write("mended", "for Chromium: it named /other/navtrace, which is gone")
          Remove("for Chromium")
        Leave("for Chromium: a directory, not navtrace's", "/hosts/x.json is a directory, not navtrace's, so Chromium is not registered: move it away and run navtrace install again")
          Leave("for Chromium: a directory, not navtrace's", "/hosts/x.json is a directory, not navtrace's, so it is left: move it away if nobody needs it")
        Leave("for Chromium: Input/output error", "/hosts/x.json can't be read, so Chromium is not registered: Input/output error; mend that and run navtrace install again")
          Leave("for Chromium: Input/output error", "/hosts/x.json can't be read, so it is left: Input/output error; mend that and run navtrace uninstall again")
        "#);
    }
}
