//! Goals that a benchmark checks, and its exit code.

use std::process::ExitCode;

/// A limit of a figure.
pub(crate) struct Goal {
    pub(crate) what: String,
    /// `None` if the variants of this run don't tell.
    pub(crate) measured: Option<f64>,
    pub(crate) most: f64,
    /// Decimals to print.
    pub(crate) digits: usize,
}

impl Goal {
    pub(crate) fn new(what: &str, measured: Option<f64>, most: f64, digits: usize) -> Self {
        Self { what: what.to_owned(), measured, most, digits }
    }

    /// Tells whether the figure is within its limit. NaN is not within any.
    fn reached(&self) -> Option<bool> {
        self.measured.map(|measured| measured <= self.most)
    }
}

/// Prints the goals. Returns whether all that were measured are reached.
pub(crate) fn report(goals: &[Goal]) -> bool {
    println!("\n{:<68} {:>9} {:>9}", "goal", "measured", "at most");
    for goal in goals {
        let Goal { what, most, digits, .. } = goal;
        let measured = goal.measured.map_or_else(|| "-".to_owned(), |measured| format!("{measured:.digits$}"));
        let verdict = match goal.reached() {
            Some(true) => "reached",
            Some(false) => "NOT reached",
            None => "not measured",
        };
        println!("{what:<68} {measured:>9} {most:>9.digits$}  {verdict}");
    }
    goals.iter().all(|goal| goal.reached() != Some(false))
}

/// Returns 0 if all goals are reached, 1 if not, and 2 after an error, which it prints.
pub(crate) fn exit_code(reached: Result<bool, String>) -> ExitCode {
    ExitCode::from(match reached {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            eprintln!("{error}");
            2
        }
    })
}
