//! Style that a machine can check, in the spirit of `TigerBeetle`'s `tidy.zig`: what CONTRIBUTING.md asks for
//! holds in every file of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file that grows beyond this holds two ideas.
const LINES_MAX: usize = 400;

/// Files that may be longer, by how their path ends, and who writes them.
const LONG_FILES: [(&str, &str); 2] = [("Cargo.lock", "cargo"), ("package-lock.json", "npm")];

/// Words that say nothing about what a thing does.
const EMPTY_NAMES: [&str; 3] = ["Manager", "Helper", "Util"];

/// Names that libraries have given: redis-rs.
const OTHERS_NAMES: [&str; 1] = ["ConnectionManager"];

/// What is left behind when something is not finished.
const LEFTOVERS: [&str; 6] = ["TODO", "FIXME", "XXX", "dbg!(", "todo!(", "unimplemented!("];

/// Places that exist on one machine only.
const MACHINE_PATHS: [&str; 4] = ["/work/", "/tmp/", "/root/", "/home/"];

/// Where things are that are built, installed or left by tests.
const NOT_OURS: [&str; 8] =
    ["__pycache__", "artifacts", "carillon-data", "corpus", "node_modules", "results", "seeds", "target"];

/// Hidden folders are those of tools, but for these.
const OUR_HIDDEN: [&str; 2] = [".ci", ".config"];

fn is_ours(folder: &str) -> bool {
    !NOT_OURS.contains(&folder) && (!folder.starts_with('.') || OUR_HIDDEN.contains(&folder))
}

struct File {
    /// Relative to the repository.
    path: String,
    text: String,
}

impl File {
    /// Lock files are nobody's prose.
    fn is_lock(&self) -> bool {
        LONG_FILES.iter().any(|(end, _)| self.path.ends_with(end))
    }

    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }

    /// What is wrong with lines of this file.
    fn lines(&self, wrong: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let say = |(at, line)| wrong(line).map(|what| format!("{}:{}: {what}", self.path, at + 1));
        self.text.lines().enumerate().filter_map(say).collect()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn collect(folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if is_ours(&name) {
                collect(&path, files);
            }
        } else if name == ".git" {
            // A linked worktree has a file of this name.
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).expect("below the root").display().to_string();
            files.push(File { path, text });
        }
    }
}

/// Every text file but this one, which has to name what it bans.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    files.retain(|file| !file.path.ends_with("tests/tidy.rs"));
    assert!(files.len() > 100, "only {} files: the repository's root has moved", files.len());
    files
}

fn all_fine(wrong: &[String], what_to_do: &str) {
    assert!(wrong.is_empty(), "{what_to_do}:\n{}", wrong.join("\n"));
}

#[test]
fn files_hold_one_idea() {
    let files = files();
    let is_long = |file: &&File| file.text.lines().count() > LINES_MAX;
    let wrong = files.iter().filter(is_long).filter(|file| !file.is_lock());
    let say = |file: &File| format!("{}: {} lines", file.path, file.text.lines().count());
    all_fine(&wrong.map(say).collect::<Vec<_>>(), "split these by idea, or say in LONG_FILES why not");
}

#[test]
fn no_line_ends_in_white_space_or_holds_a_tab() {
    let wrong = files().into_iter().flat_map(|file| {
        file.lines(|line| {
            let is_wrong = line.ends_with([' ', '\t', '\r']) || line.contains('\t');
            is_wrong.then(|| line.escape_debug().to_string())
        })
    });
    all_fine(&wrong.collect::<Vec<_>>(), "white space that nobody sees");
}

#[test]
fn nothing_is_left_unfinished() {
    let wrong = files().into_iter().filter(|file| !file.is_lock()).flat_map(|file| {
        file.lines(|line| LEFTOVERS.iter().any(|word| line.contains(word)).then(|| line.trim().to_owned()))
    });
    all_fine(&wrong.collect::<Vec<_>>(), "finish these, or take them out");
}

#[test]
fn names_say_what_things_are() {
    let wrong = files().into_iter().filter(|file| file.is("rs")).flat_map(|file| {
        file.lines(|line| {
            let own = OTHERS_NAMES.iter().fold(line.to_owned(), |line, name| line.replace(name, ""));
            EMPTY_NAMES.iter().any(|name| own.contains(name)).then(|| line.trim().to_owned())
        })
    });
    all_fine(&wrong.collect::<Vec<_>>(), "name these for what they do");
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let wrong = files().into_iter().flat_map(|file| {
        file.lines(|line| {
            MACHINE_PATHS.iter().any(|path| line.contains(path)).then(|| line.trim().to_owned())
        })
    });
    all_fine(&wrong.collect::<Vec<_>>(), "use relative or temporary paths");
}

/// Unit tests are the last part of a file, from its first `#[cfg(test)]` on a line of its own.
#[test]
fn the_product_does_not_unwrap() {
    let wrong = files()
        .into_iter()
        .filter(|file| file.is("rs") && file.path.contains("src/") && !file.path.starts_with("cluster-tests"))
        .filter(|file| !file.path.ends_with("hub/model.rs"))
        .flat_map(|file| {
            let product = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            File { path: file.path.clone(), text: product.to_owned() }
                .lines(|line| line.contains(".unwrap()").then(|| line.trim().to_owned()))
        })
        .collect::<Vec<_>>();
    all_fine(&wrong, "handle these, or use expect to say why they cannot fail");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifests =
        files().into_iter().filter(|file| file.path == "Cargo.toml" || file.path == "fuzz/Cargo.toml");
    for manifest in manifests {
        let mut is_in_dependencies = false;
        let mut before = "";
        for line in manifest.text.lines() {
            if line.starts_with('[') {
                is_in_dependencies = line.ends_with("dependencies]");
            } else if is_in_dependencies && line.contains('=') && !line.contains("path = ") {
                assert!(before.starts_with("# "), "{}: say above it why: {line}", manifest.path);
            }
            before = line;
        }
    }
}

/// The table of invariants names what holds each: a test, or a file.
#[test]
fn the_tests_that_hold_invariants_exist() {
    let files = files();
    let architecture = files.iter().find(|file| file.path == "ARCHITECTURE.md").expect("ARCHITECTURE.md");
    let rows: Vec<&str> = architecture
        .text
        .lines()
        .skip_while(|line| *line != "## Invariants")
        .filter(|line| line.starts_with("| ") && !line.starts_with("| invariant"))
        .collect();
    assert!(rows.len() > 5, "the table of invariants has moved");
    for row in rows {
        let held_by = row.trim_end_matches(" |").rsplit(" | ").next().expect("a second column");
        let names: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test holds this: {row}");
        for name in names {
            let exists = if name.contains('/') {
                root().join(name).exists()
            } else {
                let definition = format!("fn {name}(");
                files.iter().any(|file| {
                    file.is("rs") && file.text.contains(&definition)
                        || file.is("mjs") && file.text.contains(name)
                })
            };
            assert!(exists, "{name} does not exist any more; it held: {row}");
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let files = files();
    let mut count = 0;
    for file in files.iter().filter(|file| file.is("md")) {
        let folder = root().join(&file.path).parent().expect("a file is in a folder").to_owned();
        for link in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            count += 1;
            assert!(folder.join(target).exists(), "{} links to {target}, which is not there", file.path);
        }
    }
    assert!(count > 3, "only {count} links found: the documents have moved");
}

/// README's first command: it once did not know which of several programs to run.
#[test]
fn cargo_run_has_nothing_to_choose() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let workspace: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let defaults = list(&workspace["workspace_default_members"]);
    let packages =
        list(&workspace["packages"]).into_iter().filter(|package| defaults.contains(&package["id"]));
    let targets = packages.flat_map(|package| list(&package["targets"]));
    let programs: Vec<String> = targets
        .filter(|target| list(&target["kind"]).contains(&"bin".into()))
        .map(|target| target["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(programs, ["carillon"]);
}

/// `planted/run.sh` is not part of the test command: a change of the broker once left a patch behind that planted nothing.
#[test]
fn planted_faults_can_still_be_planted() {
    let patches = fs::read_dir(root().join("cluster-tests/planted")).expect("a folder with patches");
    let patches = patches.map(|entry| entry.expect("an entry").path());
    let patches: Vec<PathBuf> =
        patches.filter(|path| path.extension().is_some_and(|end| end == "patch")).collect();
    assert!(!patches.is_empty(), "the patches have moved");
    let check = std::process::Command::new("git")
        .args(["apply", "--check"])
        .args(patches.iter().map(|path| path.canonicalize().expect("it is there")))
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
