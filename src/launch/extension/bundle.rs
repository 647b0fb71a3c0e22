//! Joins the worker's modules into one file without comments, because everything that Chromium fetches and parses delays the start of the
//! browser.
//!
//! The extension's own files stay plain modules that load from their folder without a build step. They may use only what this bundler
//! understands: one-line imports of names from relative paths, `export` before a declaration, top-level names that are unique among all
//! modules, and comments on lines of their own. A test checks that.

use std::collections::{BTreeMap, BTreeSet};

/// Joins a module and everything that it imports, directly or not. Each module comes once, after those that it imports.
///
/// Returns `None` if a module is missing or has an import or export of another form.
pub(super) fn bundle(modules: &BTreeMap<String, String>, entry: &str) -> Option<String> {
    let mut bundled = String::new();
    add(modules, entry, &mut BTreeSet::new(), &mut bundled)?;
    Some(bundled)
}

fn add<'a>(
    modules: &'a BTreeMap<String, String>,
    name: &str,
    added: &mut BTreeSet<&'a str>,
    bundled: &mut String,
) -> Option<()> {
    let (name, source) = modules.get_key_value(name)?;
    if !added.insert(name) {
        return Some(());
    }
    let mut own = String::new();
    for line in code_lines(source) {
        if line.starts_with("import ") {
            add(modules, &resolve(name, imported(line)?)?, added, bundled)?;
        } else {
            own.push_str(unexported(line)?);
            own.push('\n');
        }
    }
    bundled.push_str(&own);
    Some(())
}

/// Returns the lines with code. Keeps comments on such lines.
fn code_lines(source: &str) -> impl Iterator<Item = &str> {
    let mut in_comment = false;
    source.lines().filter(move |line| {
        let line = line.trim();
        let was_in_comment = in_comment;
        let begins_comment = line.starts_with("/*") && line.find("*/").is_none_or(|end| end + 2 == line.len());
        in_comment = (in_comment || begins_comment) && !line.ends_with("*/");
        !was_in_comment && !begins_comment && !line.starts_with("//") && !line.is_empty()
    })
}

/// Returns the path in `import { a, b } from './path.js';`.
fn imported(line: &str) -> Option<&str> {
    let (names, path) = line.strip_prefix("import { ")?.strip_suffix("';")?.split_once(" } from '")?;
    (!names.contains(" as ")).then_some(path)
}

/// Removes the keyword `export` from a declaration.
fn unexported(line: &str) -> Option<&str> {
    let Some(declaration) = line.strip_prefix("export ") else {
        return Some(line);
    };
    let keywords = ["async function ", "class ", "const ", "function "];
    keywords.iter().any(|keyword| declaration.starts_with(keyword)).then_some(declaration)
}

/// Resolves a relative path against the module that imports it.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled(modules: &[(&str, &str)]) -> Option<String> {
        let modules = modules.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect();
        bundle(&modules, "worker.js")
    }

    #[test]
    fn each_module_comes_once_after_its_imports() {
        let modules = [
            ("worker.js", "import { b } from './b/b.js';\nimport { c } from './c.js';\nb(c);"),
            ("b/b.js", "import { c } from '../c.js';\nexport const b = () => c;"),
            (
                "c.js",
                "/**\n * A class.\n */\nexport class c {\n  // A comment.\n\n  /** @type {C} */ (d);\n  /** Another. */\n  e = 1; // kept\n}",
            ),
            ("unused.js", "const unused = 1;"),
        ];
        assert_eq!(
            bundled(&modules).unwrap(),
            "class c {\n  /** @type {C} */ (d);\n  e = 1; // kept\n}\nconst b = () => c;\nb(c);\n"
        );
    }

    #[test]
    fn unsupported_syntax_is_refused() {
        for source in [
            "import './c.js';",
            "import * as c from './c.js';",
            "import { c as d } from './c.js';",
            "import { c } from './missing.js';",
            "import { c } from '../../c.js';",
            "export default 1;",
            "export { c };",
        ] {
            assert_eq!(bundled(&[("worker.js", source), ("c.js", "export const c = 1;")]), None, "{source}");
        }
    }
}
