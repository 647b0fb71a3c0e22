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

/// Returns the variants with these names, in the order of the names, or all without names.
pub(crate) fn selected<T: Copy>(
    words: &[String],
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, String> {
    let find = |word: &String| {
        let found = all.iter().copied().find(|variant| name(*variant) == word);
        let known = || all.iter().map(|variant| name(*variant)).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("there is no variant {word:?}: expected one of {}", known()))
    };
    if words.is_empty() { Ok(all.to_vec()) } else { words.iter().map(find).collect() }
}
