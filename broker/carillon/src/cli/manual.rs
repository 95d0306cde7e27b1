//! `carillon completions` and `carillon man`: what other programs are told of the command line.

use clap::{Command, CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use super::CommandLine;

/// A shell that completes commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    /// GNU bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

/// A script that completes `carillon` in this shell.
pub fn completions(shell: CompletionShell) -> String {
    let shell = match shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "carillon", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Commands that take the settings of `serve`, which the page tells once.
const LIKE_SERVE: [&str; 2] = ["serve", "check"];

/// The man page, in roff: what `serve` takes, then a section for each other command.
pub fn man() -> String {
    let mut command = CommandLine::command();
    // Names of subcommands are whole from then on: `carillon pub`.
    command.build();
    let mut page = Vec::new();
    // Writing to a vector cannot fail.
    let _ = Man::new(command.clone()).render(&mut page);
    let page = String::from_utf8_lossy(&page).into_owned();
    // The version comes last.
    let (all, version) = page.rsplit_once(".SH VERSION").unwrap_or((&page, ""));
    let is_own = |sub: &&Command| !LIKE_SERVE.contains(&sub.get_name()) && sub.get_name() != "help";
    let sections: String = command.get_subcommands().filter(is_own).map(section).collect();
    format!("{all}{sections}.SH VERSION{version}")
}

/// One command's section.
fn section(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or_default().to_uppercase().replace('-', "\\-");
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    let _ = man.render_description_section(&mut page);
    let _ = man.render_synopsis_section(&mut page);
    let has_options = command.get_arguments().any(|argument| argument.get_id() != "help");
    if has_options {
        let _ = man.render_options_section(&mut page);
    }
    let page = String::from_utf8_lossy(&page);
    // What it does comes first, without a heading of its own.
    let page = page.replacen(".SH DESCRIPTION\n", "", 1).replace(".SH ", ".SS ");
    format!(".SH \"{name}\"\n{page}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags of `pub`, `sub` and `bench` were once in no page.
    #[test]
    fn the_man_page_has_every_flag_of_every_command() {
        let (mut command, page) = (CommandLine::command(), man());
        command.build();
        let mut count = 0;
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let heading = format!(".SH \"CARILLON {}\"\n", sub.get_name().to_uppercase().replace('-', "\\-"));
            let section = if LIKE_SERVE.contains(&sub.get_name()) {
                &page
            } else {
                let (_, rest) = page.split_once(&heading).unwrap_or_else(|| panic!("no {heading}"));
                rest.split(".SH ").next().unwrap_or_default()
            };
            for flag in sub.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let Some(flag) = flag.get_long() else { continue };
                let written = format!("\\-\\-{}", flag.replace('-', "\\-"));
                assert!(section.contains(&written), "{} --{flag}", sub.get_name());
                count += 1;
            }
        }
        assert!(count > 100, "only {count} flags were looked for");
    }
}
