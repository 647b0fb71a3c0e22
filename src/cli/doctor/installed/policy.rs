//! The policies that a browser obeys, in words.

use crate::cli::doctor::line::{Line, Mark};
use crate::install::browsers::Os;
use crate::install::inspect::Place;
use crate::install::inspect::host::State;
use crate::install::inspect::policies::Kind;
use crate::launch::extension;
use crate::launch::manifest::HOST_NAME;

/// What the lines begin with.
const LINK: &str = "policy";

/// Says which policies are in the way, and which help. `system` is the command that registers the host for every user.
pub(super) fn lines(place: &Place, system: &str) -> Vec<Line> {
    if Os::CURRENT == Os::MacOs {
        return vec![Line::new(Mark::Hint, LINK, "not looked at on macOS: chrome://policy shows what holds")];
    }
    let problems = place.policies.problems.iter().map(|(file, error)| {
        let sentence = format!("{} can't be read: {error}; chrome://policy shows what holds", file.display());
        Line::new(Mark::Hint, LINK, sentence)
    });
    let effects = place.policies.effects().into_iter().map(|effect| {
        let (mark, sentence) = words(&effect.kind, place.system.state == State::Missing, system);
        Line::new(mark, LINK, format!("{} in {} {sentence}", effect.policy, effect.file.display()))
    });
    let mut lines: Vec<Line> = problems.chain(effects).collect();
    if lines.is_empty() {
        lines.push(Line::new(Mark::Ok, LINK, "none of this computer's is in the way"));
    }
    lines
}

/// Says what a policy does. Only who looks after the computer can change one, so that is what mends it.
fn words(kind: &Kind, for_user_alone: bool, system: &str) -> (Mark, String) {
    let list = |names: &[String]| names.join(", ");
    match kind {
        Kind::HostBlocked => {
            let sentence =
                format!("keeps the host from being started: {HOST_NAME} must be in NativeMessagingAllowlist");
            (Mark::Fail, sentence)
        }
        Kind::UserHostsOff if for_user_alone => {
            (Mark::Fail, format!("lets only hosts count that are registered for every user: run `{system}`"))
        }
        Kind::UserHostsOff => (Mark::Ok, "lets only the host count that is registered for every user".to_owned()),
        Kind::ExtensionBlocked => {
            let sentence = format!("keeps the extension off: ExtensionSettings must allow {}", extension::ID);
            (Mark::Fail, sentence)
        }
        Kind::NoExtensions => (Mark::Fail, "keeps all extensions off: it must list `extension`".to_owned()),
        Kind::ExtensionRemoved => (Mark::Fail, "removes the extension: that must be taken out".to_owned()),
        Kind::PermissionsBlocked(names) => (
            Mark::Fail,
            format!("keeps the extension off, which needs {}: these must not be blocked for it", list(names)),
        ),
        Kind::HostsBlocked(hosts) => {
            (Mark::Warn, format!("keeps the extension from {}: requests there go without trace context", list(hosts)))
        }
        Kind::NoDeveloperMode => {
            (Mark::Fail, "keeps developer mode off, and with it unpacked extensions: it must be allowed".to_owned())
        }
        Kind::AlwaysOffTheRecord => {
            (Mark::Hint, "has all windows off the record, so the extension must be allowed there (above)".to_owned())
        }
        Kind::Installed => {
            (Mark::Ok, "installs the extension, which lets it give every request a span of its own".to_owned())
        }
    }
}
