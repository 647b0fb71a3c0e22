//! Variables in which clients look for the path of their browser. `navtrace run` sets them to itself, so their values name the browser that the
//! user wants. Pure.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::launch::k6;

/// A variable with the path of a browser.
#[derive(Debug)]
pub(crate) struct ClientVariable {
    pub(crate) name: &'static str,
    /// Whether it is set for many programs, so that one that names no program may be meant for another.
    pub(crate) is_shared: bool,
    /// The variable that says which kind of browser the path is of.
    kind: Option<&'static str>,
}

const fn of_client(name: &'static str, kind: Option<&'static str>) -> ClientVariable {
    ClientVariable { name, is_shared: false, kind }
}

const fn shared(name: &'static str) -> ClientVariable {
    ClientVariable { name, is_shared: true, kind: None }
}

/// Every such variable, the most specific first.
pub(crate) const CLIENT_VARIABLES: [ClientVariable; 7] = [
    of_client(k6::EXECUTABLE_PATH, None),
    of_client("PUPPETEER_EXECUTABLE_PATH", Some("PUPPETEER_BROWSER")),
    shared("CHROME_BIN"),
    shared("CHROME_PATH"),
    shared("CHROMIUM_BIN"),
    of_client("SE_BROWSER_PATH", Some("SE_BROWSER")),
    of_client("TAIKO_BROWSER_PATH", None),
];

impl ClientVariable {
    /// Returns whether its client would start no Chromium but Firefox, for instance. Then it is none of ours.
    pub(crate) fn is_for_another(&self, variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
        let lower = |text: &OsStr| text.to_string_lossy().to_lowercase();
        let is_firefox =
            |path: OsString| Path::new(&path).file_name().is_some_and(|name| lower(name).contains("firefox"));
        let is_other_kind = |kind: OsString| !["chrome", "chromium"].contains(&lower(&kind).as_str());
        variable(self.name).is_some_and(is_firefox) || self.kind.and_then(variable).is_some_and(is_other_kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_for_firefox_is_left_alone() {
        let others = |set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
            let others = CLIENT_VARIABLES.iter().filter(|variable| variable.is_for_another(&value));
            others.map(|variable| variable.name).collect::<Vec<_>>()
        };
        assert_eq!(others(&[("SE_BROWSER", "Chrome"), ("CHROME_BIN", "/usr/bin/chromium")]), [""; 0]);
        assert_eq!(others(&[("SE_BROWSER", "firefox")]), ["SE_BROWSER_PATH"]);
        assert_eq!(others(&[("PUPPETEER_BROWSER", "firefox")]), ["PUPPETEER_EXECUTABLE_PATH"]);
        assert_eq!(others(&[("SE_BROWSER_PATH", "/opt/Firefox-ESR")]), ["SE_BROWSER_PATH"]);
        assert_eq!(others(&[("CHROME_BIN", "/firefox/chrome")]), [""; 0]);
    }
}
