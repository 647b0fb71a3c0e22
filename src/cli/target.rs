//! What `install` and `uninstall` have in common: for which browsers and for whom, and how they say what became of each file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;

use crate::base::directories::StateDirectory;
use crate::base::failure::{ExitCode, Failure};
use crate::install::browsers::{BROWSERS, Browser, Homes, Os};
use crate::install::scope::{self, Own, Place, Scope};
use crate::install::{Mode, Outcome};
use crate::launch::extension;

/// The options of both.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// These browsers, instead of all that are found or registered
    #[arg(value_name = "BROWSER", value_parser = PossibleValuesParser::new(BROWSERS.iter().map(|browser| browser.id)))]
    pub(super) browsers: Vec<String>,

    /// For all users of this machine instead of this one
    #[arg(long, conflicts_with = "user_data_dir")]
    pub(super) system: bool,

    /// For the browser that is started with this user data directory, and no other
    #[arg(long, value_name = "DIR", conflicts_with = "browsers")]
    pub(super) user_data_dir: Option<PathBuf>,

    /// Say what would be done with every file, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What the options mean on this machine.
pub(super) struct Resolved {
    pub(super) os: Os,
    /// `None` where only what all users have is asked for, and nobody says where home is.
    pub(super) homes: Option<Homes>,
    pub(super) scope: Scope,
}

impl Target {
    pub(super) fn mode(&self) -> Mode {
        if self.dry_run { Mode::Dry } else { Mode::Real }
    }

    /// The browsers that are named.
    pub(super) fn named(&self) -> impl Iterator<Item = &'static Browser> {
        self.browsers.iter().filter_map(|id| Browser::by_id(id))
    }

    /// Finds out where everything is.
    pub(super) fn resolve(&self) -> Result<Resolved, Failure> {
        let os = Os::CURRENT;
        let variable = |name: &str| std::env::var_os(name);
        let homes = Homes::find(variable);
        if self.system {
            return Ok(Resolved { os, homes, scope: Scope::of_system(os, Path::new("/")) });
        }
        let no_home = || {
            let message =
                "there is no home directory, so nobody knows where browsers look: set HOME to an absolute path";
            Failure::new(ExitCode::Failure, message)
        };
        let homes = homes.ok_or_else(no_home)?;
        let share = scope::user_share(os, variable).ok_or_else(no_home)?;
        let own = StateDirectory::path().zip(extension::cache_directory()).map(|(state, cache)| Own { state, cache });
        let scope = Scope::of_user(os, &homes, share, own);
        Ok(Resolved { os, homes: Some(homes), scope })
    }
}

impl Resolved {
    /// Where these browsers look, each place once.
    pub(super) fn places(&self, browsers: impl IntoIterator<Item = &'static Browser>) -> Vec<Place> {
        let mut places = Vec::new();
        for browser in browsers {
            let place = match &self.homes {
                Some(homes) if !self.scope.is_system() => scope::user_place(browser, self.os, homes),
                _ => scope::system_place(browser, self.os, Path::new("/")),
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }
}

/// A line for each file; where nothing is done, one too for each of those in a folder.
pub(super) fn lines(outcome: &Outcome, mode: Mode) -> String {
    let mut text = String::new();
    for line in &outcome.lines {
        let _ = writeln!(text, "{:<10}  {}  {}", line.what, line.path.display(), line.note);
        for file in line.files.iter().filter(|_| mode == Mode::Dry) {
            let _ = writeln!(text, "            {file}");
        }
    }
    if mode == Mode::Dry {
        text.push_str("\nNothing was changed: this is what would be done.\n");
    }
    text
}
