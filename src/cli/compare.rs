//! `navtrace compare`: says what has become slower or faster from one run to another.

use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::base::text::counted;
use crate::cli::check::verdict;
use crate::cli::{json, print};
use crate::compare;
use crate::compare::comparison::Comparison;
use crate::compare::profile::MAX_OPERATIONS;

/// Say what has become slower or faster from one run to another, and why
///
/// Compares durations and errors of every page, request, endpoint and test, and lists differences that are more than noise, with the spans whose own
/// time explains them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  navtrace compare before.jsonl after.jsonl\n  navtrace compare runs/41/ runs/42/ --fail-on-slower 10%\n\n\
                        docs/check.md says what is compared, and how."
)]
pub(super) struct Args {
    /// The run to compare with: a trace file, or a folder with trace files
    #[arg(value_name = "BASE")]
    base: PathBuf,

    /// The run to judge
    #[arg(value_name = "NEW")]
    new: PathBuf,

    /// Print the comparison as JSON instead of the text
    #[arg(long)]
    json: bool,

    /// Exit with 99 if anything is slower for sure, and by at least this much
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_on_slower: Option<f64>,
}

pub(super) fn compare(args: &Args) -> Result<ProcessExitCode, Failure> {
    if [&args.base, &args.new].iter().all(|path| *path == Path::new("-")) {
        return Err(Failure::new(ExitCode::Usage, "standard input can't be both runs").hint("name a file"));
    }
    let mut is_incomplete = false;
    let mut read = |path: &Path| {
        let (profile, sources) = compare::read(path)?;
        for sentence in sources.sentences() {
            say(&sentence);
        }
        is_incomplete |= sources.has_gaps();
        if profile.left_out_spans > 0 {
            let (left_out, path) = (counted(profile.left_out_spans, "span"), path.display());
            say(&format!(
                "{left_out} of {path} are left out: at most {MAX_OPERATIONS} different operations are compared"
            ));
        }
        Ok::<_, Failure>(profile)
    };
    let fails_at = args.fail_on_slower.map(|percent| percent / 100.0);
    let comparison = Comparison::new(&read(&args.base)?, &read(&args.new)?, fails_at);
    let written = print(&if args.json { json(&comparison) } else { comparison.lines().join("\n") + "\n" });
    if let Some(reason) = comparison.empty_reason() {
        say(reason);
    }
    let slower = fails_at.map_or(0, |part| comparison.slower_by(part));
    let code = match args.fail_on_slower {
        Some(percent) if slower > 0 => {
            let are = if slower == 1 { "is" } else { "are" };
            say(&format!("{slower} {are} slower by {percent} % or more"));
            ExitCode::ConditionFailed
        }
        _ if is_incomplete => ExitCode::Failure,
        _ => ExitCode::Success,
    };
    verdict(code, written).map(Into::into)
}

/// Parses a percentage.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected a percentage, such as 10%".to_owned())
}
