//! Links the worker's modules into one file, because the browser start waits for each module that Chromium fetches and stores.
//!
//! The extension's own files stay as they are, plain modules that load from a folder without a build step. They keep to what this linker
//! understands: imports of names, one line each, from relative paths; exports by a keyword before the declaration; and top-level names that
//! no other module has. A test holds them to that.

use std::collections::{BTreeMap, BTreeSet};

/// Puts a module and all that it imports, directly or not, into one text, each module once and behind those that it imports.
///
/// `None` when a module is missing or has an import or export of another form.
pub(super) fn link(modules: &BTreeMap<String, String>, entry: &str) -> Option<String> {
    let mut linked = String::new();
    add(modules, entry, &mut BTreeSet::new(), &mut linked)?;
    Some(linked)
}

fn add<'a>(
    modules: &'a BTreeMap<String, String>,
    name: &str,
    added: &mut BTreeSet<&'a str>,
    linked: &mut String,
) -> Option<()> {
    let (name, source) = modules.get_key_value(name)?;
    if !added.insert(name) {
        return Some(());
    }
    let mut own = String::new();
    for line in source.lines() {
        if line.starts_with("import ") {
            add(modules, &resolve(name, imported(line)?)?, added, linked)?;
        } else {
            own.push_str(unexported(line)?);
            own.push('\n');
        }
    }
    linked.push_str(&own);
    Some(())
}

/// Gives the path in `import { a, b } from './path.js';`.
fn imported(line: &str) -> Option<&str> {
    let (names, path) = line.strip_prefix("import { ")?.strip_suffix("';")?.split_once(" } from '")?;
    (!names.contains(" as ")).then_some(path)
}

/// Takes the keyword from a declaration that is exported.
fn unexported(line: &str) -> Option<&str> {
    let Some(declaration) = line.strip_prefix("export ") else {
        return Some(line);
    };
    let keywords = ["async function ", "class ", "const ", "function "];
    keywords.iter().any(|keyword| declaration.starts_with(keyword)).then_some(declaration)
}

/// Resolves a relative path against the module that names it.
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

    fn linked(modules: &[(&str, &str)]) -> Option<String> {
        let modules = modules.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect();
        link(&modules, "worker.js")
    }

    #[test]
    fn each_module_stands_once_behind_those_that_it_imports() {
        let modules = [
            ("worker.js", "import { b } from './b/b.js';\nimport { c } from './c.js';\nb(c);"),
            ("b/b.js", "import { c } from '../c.js';\nexport const b = () => c;"),
            ("c.js", "export class c {\n  // export const is kept inside\n}"),
            ("unused.js", "const unused = 1;"),
        ];
        assert_eq!(
            linked(&modules).unwrap(),
            "class c {\n  // export const is kept inside\n}\nconst b = () => c;\nb(c);\n"
        );
    }

    #[test]
    fn what_is_not_understood_is_not_linked() {
        for source in [
            "import './c.js';",
            "import * as c from './c.js';",
            "import { c as d } from './c.js';",
            "import { c } from './missing.js';",
            "import { c } from '../../c.js';",
            "export default 1;",
            "export { c };",
        ] {
            assert_eq!(linked(&[("worker.js", source), ("c.js", "export const c = 1;")]), None, "{source}");
        }
    }
}
