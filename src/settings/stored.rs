//! The settings that config.toml can hold, as the extension's options page shows and changes them.

use std::collections::BTreeMap;

use crate::base::failure::Failure;
use crate::channel::message::setting::{SettingInfo, SettingKind, SettingSource, SettingValue};
use crate::settings::assignment::{Assignment, Source};
use crate::settings::file::ConfigFile;
use crate::settings::setting::{Read, Secret, Setting, plain};
use crate::settings::show::without_secrets;
use crate::settings::{Config, edit, table};

impl SettingValue {
    /// Returns the value as text, with the items of a list.
    pub(super) fn read(&self, setting: &Setting) -> (String, Option<Vec<String>>) {
        match self {
            Self::Switch(on) => (setting.switch(*on).to_owned(), None),
            Self::Text(text) => (text.clone(), None),
            Self::List(items) => (items.join(","), Some(items.clone())),
        }
    }

    fn from_assignment(assignment: &Assignment) -> Self {
        let text = assignment.text.to_string_lossy();
        match (&assignment.setting.read, &assignment.items) {
            (Read::Switch(_), _) => Self::Switch(text.eq_ignore_ascii_case(assignment.setting.switch(true))),
            (_, Some(items)) => Self::List(items.clone()),
            _ => Self::Text(text.into_owned()),
        }
    }
}

impl Config {
    /// Returns every setting that config.toml can have, with its stored value.
    pub(crate) fn stored(&self) -> Result<Vec<SettingInfo>, Failure> {
        let in_file = self.file.as_ref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let mut stored: BTreeMap<_, _> = in_file
            .iter()
            .map(|assignment| (assignment.setting.name, SettingValue::from_assignment(assignment)))
            .collect();
        let mut shown: BTreeMap<_, _> = self.shown().map(|shown| (shown.name, shown.value)).collect();
        let rows = table::groups().into_iter().flat_map(|group| {
            let meaning = plain(group[0].meaning);
            group.into_iter().map(move |setting| (setting, meaning.clone()))
        });
        let infos = rows.filter_map(|(setting, meaning)| {
            let choices = (setting.choices)();
            let stored = stored.remove(setting.name);
            let value = shown.remove(setting.name).flatten();
            let current = self.values.get(setting.name).map(|(text, _)| text.to_string_lossy().into_owned());
            // A value that is not shown unchanged contains a secret.
            let hides = |text: Option<String>| text.is_some_and(|text| without_secrets(setting, &text) != text);
            let is_hidden = hides(current) || hides(stored.as_ref().map(|stored| stored.read(setting).0));
            let secret = setting.secret == Secret::PairValues || is_hidden;
            Some(SettingInfo {
                key: setting.path()?,
                name: setting.name.to_owned(),
                meaning,
                default: setting.default_words().into_owned(),
                kind: match setting.read {
                    Read::Switch(_) => SettingKind::Switch,
                    Read::List(_) => SettingKind::List,
                    _ if choices.is_empty() => SettingKind::Text,
                    _ => SettingKind::Choice,
                },
                choices: choices.into_iter().map(ToOwned::to_owned).collect(),
                value: value.filter(|_| !secret),
                secret,
                source: match self.source(setting.name) {
                    Source::Default => SettingSource::Default,
                    Source::File(_) => SettingSource::File,
                    Source::Environment(_) => SettingSource::Environment,
                    Source::Flag(_) => SettingSource::Flag,
                },
                stored: stored.filter(|_| !secret),
            })
        });
        Ok(infos.collect())
    }

    /// Writes values to config.toml, all or none of them; `None` removes a key.
    pub(crate) fn store(&self, values: &BTreeMap<String, Option<SettingValue>>) -> Result<(), Failure> {
        edit::store(self.file.as_ref(), values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &Config, key: &str) -> SettingInfo {
        config.stored().unwrap().into_iter().find(|info| info.key == key).unwrap()
    }

    #[test]
    fn each_setting_says_how_it_is_written() {
        let config = Config::default();
        let mode = of(&config, "mode");
        assert_eq!(
            (mode.kind, mode.choices),
            (SettingKind::Choice, ["auto", "lightweight", "detailed", "static"].map(String::from).into())
        );
        assert_eq!((mode.value.as_deref(), mode.source, mode.stored), (Some("auto"), SettingSource::Default, None));
        assert_eq!(of(&config, "otel.exporter_otlp_traces_protocol").choices[2], "grpc");
        assert_eq!(of(&config, "web_vitals").kind, SettingKind::Switch);
        assert_eq!(of(&config, "targets").kind, SettingKind::List);
        assert!(of(&config, "targets").meaning.contains("match patterns, such as https://*.shop.test/*"));
        assert_eq!(of(&config, "link").kind, SettingKind::Text);
        // Settings of one group share their meaning.
        assert_eq!(of(&config, "otel.resource_attributes").meaning, of(&config, "otel.service_name").meaning);
        let info = config.stored().unwrap();
        assert!(info.iter().all(|info| info.name != "TRACEPARENT" && !info.meaning.is_empty()));
    }

    #[test]
    fn secrets_are_not_returned() {
        let config = Config::of_environment(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:pw@c:1/"),
            ("NAVTRACE_LINK", "http://t.test/{trace_id}"),
        ])
        .unwrap();
        for (key, secret) in
            [("otel.exporter_otlp_headers", true), ("otel.exporter_otlp_endpoint", true), ("link", false)]
        {
            let info = of(&config, key);
            assert_eq!((info.secret, info.value.is_none()), (secret, secret), "{key}");
            assert_eq!(info.source, SettingSource::Environment);
        }
    }
}
