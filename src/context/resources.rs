//! Kinds of requests: which have a span of their own, and what the others carry.

use serde::{Deserialize, Serialize};

/// A kind of request, by the name of Chrome's `webRequest.ResourceType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResourceType {
    MainFrame,
    SubFrame,
    Stylesheet,
    Script,
    Image,
    Font,
    Object,
    #[serde(rename = "xmlhttprequest")]
    Fetch,
    Ping,
    CspReport,
    Media,
    #[serde(rename = "websocket")]
    WebSocket,
    #[serde(rename = "webbundle")]
    WebBundle,
    Other,
}

impl ResourceType {
    /// Every kind with its name.
    const NAMES: [(&str, Self); 14] = [
        ("main_frame", Self::MainFrame),
        ("sub_frame", Self::SubFrame),
        ("stylesheet", Self::Stylesheet),
        ("script", Self::Script),
        ("image", Self::Image),
        ("font", Self::Font),
        ("object", Self::Object),
        ("xmlhttprequest", Self::Fetch),
        ("ping", Self::Ping),
        ("csp_report", Self::CspReport),
        ("media", Self::Media),
        ("websocket", Self::WebSocket),
        ("webbundle", Self::WebBundle),
        ("other", Self::Other),
    ];

    /// The kinds by which a page calls a backend: documents, fetch and XHR, `WebSocket`s and pings.
    const CALLS: [Self; 5] = [Self::MainFrame, Self::SubFrame, Self::Fetch, Self::Ping, Self::WebSocket];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }

    fn is_call(self) -> bool {
        Self::CALLS.contains(&self)
    }
}

/// Returns whether `calls` gives a span to this kind. An unknown name, of a newer browser, is no call.
pub(crate) fn is_call(name: &str) -> bool {
    ResourceType::named(name).is_some_and(ResourceType::is_call)
}

/// The kinds of requests that have a span of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resources(Vec<ResourceType>);

impl Resources {
    /// The words that stand for several kinds, and the names of the kinds.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        [Self::ALL, Self::CALLS].into_iter().chain(ResourceType::NAMES.map(|(name, _)| name))
    }

    const ALL: &str = "all";
    const CALLS: &str = "calls";

    /// Parses a list of names. Returns the first unknown name. The documents of tabs always have a span.
    pub(crate) fn parse(items: &[String]) -> Result<Self, &str> {
        let mut kinds = Vec::new();
        let mut is_all = items.is_empty();
        for item in items {
            match item.as_str() {
                Self::ALL => is_all = true,
                Self::CALLS => kinds.extend(ResourceType::CALLS),
                name => kinds.push(ResourceType::named(name).ok_or(name)?),
            }
        }
        kinds.push(ResourceType::MainFrame);
        kinds.sort_unstable();
        kinds.dedup();
        if is_all || kinds.len() == ResourceType::NAMES.len() {
            kinds.clear();
        }
        Ok(Self(kinds))
    }

    /// Returns the kinds; empty for all.
    pub(crate) fn kinds(&self) -> &[ResourceType] {
        &self.0
    }

    /// Returns the names in a form that [`Self::parse`] reads.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        if self.0.is_empty() {
            return vec![Self::ALL];
        }
        let has_calls = ResourceType::CALLS.iter().all(|kind| self.0.contains(kind));
        let others = self.0.iter().filter(|kind| !(has_calls && kind.is_call()));
        has_calls.then_some(Self::CALLS).into_iter().chain(others.map(|kind| kind.name())).collect()
    }
}

/// What requests without a span of their own carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum OtherResources {
    /// The context of the session, or of the tab's trace; in lightweight mode that of the navigation.
    #[default]
    Session,
    /// Nothing.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<&'static str>, String> {
        let items: Vec<String> = text.split(',').filter(|item| !item.is_empty()).map(ToOwned::to_owned).collect();
        Resources::parse(&items).map(|resources| resources.words()).map_err(ToOwned::to_owned)
    }

    #[test]
    fn a_list_of_kinds_is_read() {
        for (text, words) in [
            ("", vec!["all"]),
            ("all,script", vec!["all"]),
            ("calls", vec!["calls"]),
            ("script,calls", vec!["calls", "script"]),
            ("main_frame,sub_frame,xmlhttprequest,ping,websocket", vec!["calls"]),
            ("font", vec!["main_frame", "font"]),
        ] {
            assert_eq!(parse(text).unwrap(), words, "{text}");
        }
        assert_eq!(parse("calls,fetch"), Err("fetch".to_owned()));
        let every: Vec<&str> = ResourceType::NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(parse(&every.join(",")).unwrap(), ["all"]);
    }

    #[test]
    fn the_names_are_chromes_in_the_order_of_the_kinds() {
        for (n, (name, kind)) in ResourceType::NAMES.iter().enumerate() {
            assert_eq!(*kind as usize, n);
            assert_eq!(serde_json::to_value(kind).unwrap(), *name);
        }
        assert!(is_call("ping") && !is_call("script") && !is_call("new"));
    }
}
