//! A Dockerfile's last stage, as far as images here are made from it.

use std::{collections::BTreeMap, path::Path, process::Command};

/// An instruction: its keyword, and what follows.
pub(super) type Instruction = (String, String);

/// What an image says of the containers made from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Configuration {
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) variables: BTreeMap<String, String>,
    /// Where its program starts; empty for the root.
    pub(super) work_folder: String,
}

/// The instructions of the last stage, after its FROM.
pub(super) fn last_stage(text: &str) -> Vec<Instruction> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut instructions = Vec::new();
    for line in lines {
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        if keyword == "FROM" {
            instructions.clear();
        } else {
            instructions.push((keyword.to_owned(), rest.trim().to_owned()));
        }
    }
    instructions
}

/// Carries a stage out on a root file system, with files from `context`. What it installs it installs with this machine's
/// own tools: the image that its FROM names is not here.
pub(super) fn build(stage: &[Instruction], context: &Path, root: &Path) -> Configuration {
    let mut made = Configuration::default();
    for (keyword, rest) in stage {
        let inside = root.join(made.work_folder.trim_start_matches('/'));
        match keyword.as_str() {
            "WORKDIR" => {
                made.work_folder.clone_from(rest);
                std::fs::create_dir_all(root.join(rest.trim_start_matches('/'))).expect("a folder");
            }
            // From the stage before, of which another says what it has made.
            "COPY" if rest.starts_with("--from=") => {}
            "COPY" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let (to, from) = words.split_last().expect("a target");
                copy(context, from, &inside.join(to));
            }
            "RUN" => shell(rest, &inside),
            "ENV" => made.variables.extend(rest.split(' ').map(|pair| {
                let (name, value) = pair.split_once('=').expect("NAME=VALUE");
                (name.to_owned(), value.to_owned())
            })),
            "ENTRYPOINT" => made.entrypoint = list(rest),
            "CMD" => made.command = list(rest),
            // Whose pod it is, what it mounts and when it is well, its manifest says.
            "USER" | "VOLUME" | "EXPOSE" | "HEALTHCHECK" => {}
            other => panic!("{other} is not carried out here"),
        }
    }
    made
}

fn list(json: &str) -> Vec<String> {
    serde_json::from_str(json).expect("in its JSON form")
}

/// Copies what Docker would: what `.dockerignore` names stays.
fn copy(context: &Path, from: &[&str], to: &Path) {
    let ignored = std::fs::read_to_string(context.join(".dockerignore")).unwrap_or_default();
    let mut tar = Command::new("sh");
    tar.arg("-euc")
        .arg("tar --create --exclude-from=/dev/stdin \"$@\" | tar --extract --directory=\"$0\"")
        .arg(to);
    tar.args(from).current_dir(context);
    super::namespaces::feed(&mut tar, &ignored);
}

fn shell(line: &str, folder: &Path) {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Command::new("sh");
    // It may clean caches: not those of whoever runs this.
    shell.args(["-euc", line]).current_dir(folder).env("npm_config_cache", cache.path());
    let output = shell.output().expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{line}: {}{}", text(&output.stdout), text(&output.stderr));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_stage_counts_and_lines_go_on() {
        let text = "FROM a AS build\nRUN make\n# why\nFROM scratch\nRUN one \\\n    && two\nCMD [\"x\"]\n";
        let stage = last_stage(text);
        let words: Vec<(&str, &str)> = stage.iter().map(|(keyword, rest)| (&**keyword, &**rest)).collect();
        assert_eq!(words, [("RUN", "one      && two"), ("CMD", "[\"x\"]")]);
    }
}
