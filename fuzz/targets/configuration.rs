//! Any text as a configuration file: it is refused in one line, or what is printed of it, being a file itself, says the
//! same again.
#![no_main]

use carillon_broker::config::{Configuration, Settings, TABLE};
use libfuzzer_sys::fuzz_target;

/// Longest message: the file's path, a key or a value of the input, and what is allowed.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let configuration = match Configuration::from_toml(text) {
        Ok(configuration) => configuration,
        Err(error) => {
            let told = error.to_string();
            assert!(!told.is_empty() && told.len() <= MESSAGE_BYTES_MAX, "{} bytes", told.len());
            assert!(!told.contains(['\n', '\r']), "more than a line: {told:?}");
            return;
        }
    };
    let printed = configuration.to_toml();
    let again = Configuration::from_toml(&printed).unwrap_or_else(|error| panic!("{error} in {printed}"));
    assert_eq!(again.settings, configuration.settings, "{printed}");
    // Settings are also changed one by one.
    let mut copy = Settings::default();
    for row in TABLE {
        assert!(row.set(&mut copy, row.get(&configuration.settings)), "{}", row.name);
    }
    assert_eq!(copy, configuration.settings);
});
