//! Compares the table in docs/settings.md with the declared settings.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::settings::table;

const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->";

fn table() -> String {
    let mut text = String::from("| setting | default | meaning |\n|---|---|---|\n");
    for row in table::groups() {
        let names: Vec<String> = row
            .iter()
            .map(|setting| {
                let flag = setting.flag.map(|flag| format!(", `--{flag}`")).unwrap_or_default();
                format!("`{}`{flag}", setting.name)
            })
            .collect();
        let defaults: Vec<&str> = row.iter().map(|setting| setting.default).filter(|words| !words.is_empty()).collect();
        let _ = writeln!(text, "| {} | {} | {} |", names.join(", "), defaults.join(", "), row[0].meaning);
    }
    text
}

/// `NAVTRACE_BLESS=1 cargo test table_of_settings` updates it.
#[test]
fn the_table_of_settings_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (current, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("NAVTRACE_BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(current, table, "docs/settings.md is stale: run `NAVTRACE_BLESS=1 cargo test table_of_settings`");
    }
}
