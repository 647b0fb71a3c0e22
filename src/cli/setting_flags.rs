//! Command-line options for settings, built from the settings' table.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command, Error};

use crate::settings::assignment::FILE;
use crate::settings::setting::{Read, Setting, plain};
use crate::settings::table;

/// The settings that the command line sets, each with its value.
#[derive(Debug, Default)]
pub(super) struct SettingFlags(Vec<(&'static Setting, OsString)>);

impl SettingFlags {
    pub(super) fn given(&self) -> &[(&'static Setting, OsString)] {
        &self.0
    }
}

fn with_flags() -> impl Iterator<Item = (&'static Setting, &'static str)> {
    table::all().filter_map(|setting| Some((setting, setting.flag?)))
}

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        with_flags().fold(command, |command, (setting, flag)| {
            let (value, action) = match setting.read {
                Read::Switch(_) => ("on|off", ArgAction::Set),
                Read::Path(_) => ("PATH", ArgAction::Set),
                Read::List(_) => ("VALUE,...", ArgAction::Append),
                Read::Text(_) => ("VALUE", ArgAction::Set),
            };
            let help = format!("{} [{}, default: {}]", plain(setting.meaning), setting.name, setting.default_words());
            let arg = Arg::new(flag).long(flag).value_name(value).action(action).help(help);
            // The short help (-h) shows only the command's own options.
            let arg = arg.value_parser(clap::value_parser!(OsString)).hide_short_help(true).help_heading("Settings");
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = with_flags().filter_map(|(setting, flag)| {
            let texts: Vec<OsString> = matches.get_many::<OsString>(flag)?.cloned().collect();
            // An option that is given repeatedly makes one list.
            Some((setting, texts.join(",".as_ref())))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Returns help about the settings without an option.
pub(super) fn settings_without_flags() -> String {
    let mut text = format!(
        "In config.toml a setting's key is its name in lower case without NAVTRACE_, and in the table [otel] without OTEL_. {FILE} names \
         another file.\n\nSettings without an option:"
    );
    for group in table::groups().iter().filter(|group| group[0].flag.is_none()) {
        let names: Vec<&str> = group.iter().map(|setting| setting.name).collect();
        let defaults: Vec<&str> =
            group.iter().map(|setting| setting.default).filter(|words| !words.is_empty()).collect();
        let (names, defaults) = (names.join(", "), plain(&defaults.join(", ")));
        let _ = write!(text, "\n\n{names} [default: {defaults}]\n  {}", plain(group[0].meaning));
    }
    text
}
