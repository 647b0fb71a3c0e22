//! Reads what k6 measured, from the lines of JSON that `K6_OUT=json=FILE` writes.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Values of k6's metrics in one run.
pub(crate) struct Samples(Vec<Value>);

impl Samples {
    /// Reads and deletes the file.
    pub(crate) fn take(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        fs::remove_file(path).unwrap();
        Self(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// Returns the duration of the only iteration, in milliseconds.
    pub(crate) fn iteration(&self) -> f64 {
        let [iteration] = self.of("iteration_duration")[..] else { panic!("k6 ran more or less than one iteration") };
        iteration
    }

    /// Returns the values of a metric, which must have some.
    pub(crate) fn of(&self, metric: &str) -> Vec<f64> {
        let points = self.0.iter().filter(|line| line["type"] == "Point" && line["metric"] == metric);
        let values: Vec<f64> = points.map(|point| point["data"]["value"].as_f64().unwrap()).collect();
        assert!(!values.is_empty(), "k6 measured no {metric}");
        values
    }
}
