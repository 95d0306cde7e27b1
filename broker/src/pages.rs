//! Pages of the documentation that are made from tables in the code.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Set to write them anew.
const BLESS: &str = "CARILLON_BLESS";

/// A file, named from the top of the project.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Fails if a file, named from the top of the project, is not what the code makes of it.
pub(crate) fn assert_is(path: &str, expected: &str) {
    let file = file(path);
    if std::env::var_os(BLESS).is_some() {
        fs::write(&file, expected).expect("writes");
    }
    let is_same = fs::read_to_string(&file).is_ok_and(|text| text == expected);
    assert!(
        is_same,
        "{path} is old; {BLESS}=1 cargo nextest run -p carillon-broker what_is_written writes it"
    );
}
