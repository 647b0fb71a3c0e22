//! Suggestions for misspelled names.

/// The least similarity of a name that is suggested (1 is equal).
const SIMILAR: f64 = 0.7;

/// Returns the name that `value` was probably meant to be.
pub(crate) fn nearest<'a>(value: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likely = names.into_iter().map(|name| (strsim::jaro_winkler(name, value), name));
    let (likeness, nearest) = likely.fold((0.0, ""), |best, this| if this.0 > best.0 { this } else { best });
    (likeness >= SIMILAR).then_some(nearest)
}
