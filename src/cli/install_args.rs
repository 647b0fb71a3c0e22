//! The arguments and the output that `install` and `uninstall` share.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;

use crate::base::directories::StateDirectory;
use crate::base::failure::{ExitCode, Failure};
use crate::install::InstallReport;
use crate::install::browsers::{BROWSERS, Browser, Homes, Os};
use crate::install::scope::{self, InstallScope, ManifestLocation, RuntimeDirectories};
use crate::launch::extension;

/// The browsers and users of an installation.
#[derive(Debug, clap::Args)]
pub(super) struct InstallTarget {
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
    pub(super) dry_run: bool,
}

/// The places that the arguments mean on this machine.
pub(super) struct ResolvedInstallTarget {
    pub(super) os: Os,
    /// `None` if there is no home directory, which only an installation for all users can do without.
    pub(super) homes: Option<Homes>,
    pub(super) scope: InstallScope,
}

impl InstallTarget {
    pub(super) fn named(&self) -> impl Iterator<Item = &'static Browser> {
        self.browsers.iter().filter_map(|id| Browser::by_id(id))
    }

    pub(super) fn resolve(&self) -> Result<ResolvedInstallTarget, Failure> {
        let os = Os::CURRENT;
        let variable = |name: &str| std::env::var_os(name);
        let homes = Homes::find(variable);
        if self.system {
            return Ok(ResolvedInstallTarget { os, homes, scope: InstallScope::of_system(os, Path::new("/")) });
        }
        let no_home = || {
            let message =
                "there is no home directory, so the browsers' directories are unknown: set HOME to an absolute path";
            Failure::new(ExitCode::Failure, message)
        };
        let homes = homes.ok_or_else(no_home)?;
        let share = scope::user_share(os, variable).ok_or_else(no_home)?;
        let runtime = StateDirectory::path()
            .zip(extension::cache_directory())
            .map(|(state, cache)| RuntimeDirectories { state, cache });
        let scope = InstallScope::of_user(os, &homes, share, runtime);
        Ok(ResolvedInstallTarget { os, homes: Some(homes), scope })
    }
}

impl ResolvedInstallTarget {
    /// Returns the locations that the browsers read, without duplicates.
    pub(super) fn locations(&self, browsers: impl IntoIterator<Item = &'static Browser>) -> Vec<ManifestLocation> {
        scope::unique(browsers.into_iter().map(|browser| match &self.homes {
            Some(homes) if !self.scope.is_system() => ManifestLocation::of_user(browser, self.os, homes),
            _ => ManifestLocation::of_system(browser, self.os, Path::new("/")),
        }))
    }
}

/// Renders a line for each file, and in a dry run also for each file in a folder.
pub(super) fn render(report: &InstallReport, dry_run: bool) -> String {
    let mut text = String::new();
    for file in &report.files {
        let _ = writeln!(text, "{:<10}  {}  {}", file.status, file.path.display(), file.detail);
        for change in file.files.iter().filter(|_| dry_run) {
            let _ = writeln!(text, "            {change}");
        }
    }
    if dry_run {
        text.push_str("\nNothing was changed: this is what would be done.\n");
    }
    text
}
