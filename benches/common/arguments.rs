//! Reads the arguments and variables of a benchmark.

/// Returns the words that the user gave. Cargo adds options of its own, such as `--bench`.
pub(crate) fn words() -> Vec<String> {
    std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect()
}

/// Returns a number, 1 or more, from a variable, or its default.
pub(crate) fn number(name: &str, default: usize) -> Result<usize, String> {
    let Ok(text) = std::env::var(name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{name}={text} can't be used: expected a number, 1 or more"))
}

/// Returns the variant with a name.
pub(crate) fn named<T: Clone>(word: &str, all: &[T], name: impl Fn(&T) -> &str) -> Result<T, String> {
    let found = all.iter().find(|variant| name(variant) == word);
    let known = || all.iter().map(&name).collect::<Vec<_>>().join(", ");
    found.cloned().ok_or_else(|| format!("there is no variant {word:?}: expected one of {}", known()))
}
