//! Tests that man pages and completions cover the whole command line.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::navtrace::{Environment, stderr, stdout};

fn printed(environment: &Environment, args: &[&str]) -> String {
    let output = environment.navtrace(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// Returns the commands with their long options, as `--help` shows them.
fn commands(environment: &Environment) -> Vec<(String, BTreeSet<String>)> {
    let help = printed(environment, &["--help"]);
    let listed = help.split_once("Commands:\n").unwrap().1.lines().take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = names.map(|line| line.split_whitespace().next().unwrap()).filter(|name| *name != "help");
    let options = |name: &str| {
        let help = printed(environment, &[name, "--help"]);
        // Prose stands at the margin or further to the right.
        let lines = help.lines().filter(|line| line.starts_with("  -") || line.starts_with("      --"));
        let words =
            lines.flat_map(|line| line.trim().split([' ', ',', '=', '[', '.']).filter(|word| word.starts_with("--")));
        words.map(str::to_owned).collect()
    };
    names.map(|name| (name.to_owned(), options(name))).collect()
}

#[test]
fn there_is_a_man_page_with_all_options_for_every_command() {
    let environment = Environment::new();
    let dir = environment.home().join("a manual/man1");
    printed(&environment, &["man", dir.to_str().unwrap()]);
    let overview = fs::read_to_string(dir.join("navtrace.1")).unwrap();
    let commands = commands(&environment);
    assert!(commands.len() >= 14, "{commands:?}");
    for (name, options) in commands {
        assert!(overview.contains(&format!("navtrace\\-{name}(1)")), "{name}: {overview}");
        let page = fs::read_to_string(dir.join(format!("navtrace-{name}.1"))).unwrap();
        for option in options {
            assert!(page.contains(&option.replace('-', "\\-")), "{name} {option}: {page}");
        }
    }
    fs::write(environment.home().join("file"), "").unwrap();
    let output = environment.navtrace(["man", environment.home().join("file").to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("navtrace: the man pages can't be written to "), "{}", stderr(&output));
}

#[test]
fn completions_cover_all_commands_and_options() {
    let environment = Environment::new();
    let commands = commands(&environment);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&environment, &["completions", shell]);
        for (name, options) in &commands {
            assert!(script.contains(name), "{shell}: {name}");
            for option in options {
                let option = if shell == "fish" { &option[2..] } else { option };
                assert!(script.contains(option), "{shell}: {name} {option}");
            }
        }
    }
    // bash itself completes with its script.
    let script = environment.home().join("completions");
    fs::write(&script, printed(&environment, &["completions", "bash"])).unwrap();
    let completed = |words: &str| {
        let ask = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _navtrace navtrace \
             \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(completed("navtrace doc"), "doctor\n");
    assert_eq!(completed("navtrace view --corr"), "--correct-clocks\n");
}
