//! From where settings come, and which of them counts: a built-in default is the weakest, then the file, then the
//! environment, then the flags.

use std::{fmt, path::PathBuf};

use super::{
    ConfigError, Given, Origin, Row, Settings, TABLE, Value,
    error::told_again,
    file,
    row::{PREFIX, row},
};

/// The flag that names the file; its variable is `CARILLON_CONFIG`. It is no setting, as a file cannot hold it.
pub const CONFIG: &str = "config";

/// The variable that names the file.
pub const CONFIG_VARIABLE: &str = "CARILLON_CONFIG";

/// A setting that something gives.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) row: &'static Row,
    pub(super) given: Given,
    pub(super) origin: Origin,
}

/// What the command line, the environment and a file say. The file is read by each [`load`](Self::load); the rest is
/// what it was when it was given.
#[derive(Clone, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    variables: Vec<Entry>,
    flags: Vec<Entry>,
}

/// Without what is given, which may be secret.
impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Sources {
    /// Takes settings from environment variables. One that is empty says nothing, and one that is no setting's is
    /// somebody else's: service links of Kubernetes look alike.
    #[must_use]
    pub fn with_variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, text) in variables {
            if text.is_empty() || !name.starts_with(PREFIX) {
                continue;
            }
            if name == CONFIG_VARIABLE && self.file.is_none() {
                self.file = Some(text.into());
            } else if let Some(row) = TABLE.iter().find(|row| row.variable == name) {
                self.variables.push(Entry { row, given: Given::Text(text), origin: Origin::Variable });
            }
        }
        self
    }

    /// Takes settings from the process's environment. A variable that is not Unicode says nothing.
    #[must_use]
    pub fn with_environment(self) -> Self {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        self.with_variables(std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))))
    }

    /// Takes a setting from a flag. Returns whether there is one of this name.
    pub fn add_flag(&mut self, name: &str, given: Given) -> bool {
        if let (CONFIG, Given::Text(path)) = (name, &given) {
            self.file = Some(path.into());
            return true;
        }
        let row = row(name);
        self.flags.extend(row.map(|row| Entry { row, given, origin: Origin::Flag }));
        row.is_some()
    }

    /// The configuration file, if one is named.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    /// Reads the file, and finds the value of each setting. Nothing else is read, and nothing is written.
    pub fn load(&self) -> Result<Configuration, ConfigError> {
        let file = self.file.as_deref().map(file::read).transpose()?.unwrap_or_default();
        Configuration::from_entries(file.iter().chain(&self.variables).chain(&self.flags))
    }
}

/// Settings of which is known where they came from.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The settings.
    pub settings: Settings,
    /// Where each came from, in the table's order.
    origins: Vec<Origin>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self { settings: Settings::default(), origins: vec![Origin::Default; TABLE.len()] }
    }
}

impl Configuration {
    /// Settings as a file's text would give them; to try a text out.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::from_entries(&file::parse(&file::no_path(), text)?)
    }

    /// From the weakest to the strongest. What a stronger one overrules has to be right nevertheless.
    fn from_entries<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Self, ConfigError> {
        let mut configuration = Self::default();
        for entry in entries {
            configuration.take(entry)?;
        }
        configuration.settings.check().map_err(|error| {
            let origins = error.settings.iter().filter_map(|name| configuration.told_origin(name)).collect();
            ConfigError::Together { error, origins }
        })?;
        Ok(configuration)
    }

    fn take(&mut self, entry: &Entry) -> Result<(), ConfigError> {
        let value = entry.row.kind.parse(&entry.given);
        if !value.is_some_and(|value| entry.row.set(&mut self.settings, value)) {
            return Err(wrong_value(entry.row, &entry.origin, &entry.given));
        }
        let index = TABLE.iter().position(|row| row.name == entry.row.name);
        if let Some(origin) = index.and_then(|index| self.origins.get_mut(index)) {
            *origin = entry.origin.clone();
        }
        Ok(())
    }

    /// Every setting with its value and where that came from.
    pub fn rows(&self) -> impl Iterator<Item = (&'static Row, Value, &Origin)> {
        TABLE.iter().zip(&self.origins).map(|(row, origin)| (row, row.get(&self.settings), origin))
    }

    /// Where a setting came from, for an error that speaks of flags.
    fn told_origin(&self, name: &str) -> Option<String> {
        let (row, _, origin) = self.rows().find(|(row, _, _)| row.name == name)?;
        let is_told = !matches!(origin, Origin::Flag);
        is_told.then(|| format!("{name}: {}", origin.of(row)))
    }
}

/// That a setting may not have what it was given.
pub(super) fn wrong_value(row: &Row, origin: &Origin, given: &Given) -> ConfigError {
    let place = origin.of(row).to_string();
    ConfigError::Value {
        place: if matches!(origin, Origin::File { .. }) { format!("{place}: {}", row.name) } else { place },
        value: told_again(&given.text()),
        allowed: row.kind.allowed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    /// A file, variables, and flags.
    fn sources(
        file: &str,
        variables: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<Configuration, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("c.toml");
        std::fs::write(&path, file).expect("writes");
        let mut sources = Sources::default();
        sources.add_flag(CONFIG, text(&path.display().to_string()));
        for (name, value) in flags {
            assert!(sources.add_flag(name, text(value)), "no flag {name}");
        }
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loaded = sources.with_variables(variables).load();
        loaded.map_err(|error| error.to_string().replace(&path.display().to_string(), "c.toml"))
    }

    fn origin(configuration: &Configuration, name: &str) -> String {
        let found = configuration.rows().find(|(row, _, _)| row.name == name);
        let (row, _, origin) = found.expect("there is such a setting");
        let told = origin.of(row).to_string();
        told.rsplit_once('/').map_or(told.clone(), |(_, file)| file.to_owned())
    }

    #[test]
    fn flags_go_before_the_environment_and_that_before_the_file() {
        let file = "\nname = 'file'\nshards = 2\nclients-max = 20\n";
        let variables = [("CARILLON_SHARDS", "3"), ("CARILLON_CLIENTS_MAX", "30")];
        let loaded = sources(file, &variables, &[("clients-max", "40")]).expect("is right");
        let Settings { name, shards, clients_max, tcp_keepalive_s, .. } = &loaded.settings;
        assert_eq!((name.as_str(), *shards, *clients_max, *tcp_keepalive_s), ("file", 3, 40, 4));
        let origins = ["name", "shards", "clients-max", "tcp-keepalive-s"].map(|name| origin(&loaded, name));
        assert_eq!(origins, ["c.toml:2", "CARILLON_SHARDS", "--clients-max", "default"]);
    }

    #[test]
    fn a_wrong_value_is_told_with_its_place_and_what_is_allowed() {
        let allowed = "allowed is a whole number from 1 to 64";
        let told = |loaded: Result<Configuration, String>| loaded.expect_err("is wrong");
        assert_eq!(told(sources("\nshards = 0", &[], &[])), format!("c.toml:2: shards '0': {allowed}"));
        let variable = told(sources("", &[("CARILLON_SHARDS", "x\n")], &[]));
        assert_eq!(variable, format!("CARILLON_SHARDS 'x\\n': {allowed}"));
        assert_eq!(told(sources("", &[], &[("shards", "65")])), format!("--shards '65': {allowed}"));
        // Also where something stronger overrules it: it would come to light with the next change.
        assert!(sources("shards = 0", &[], &[("shards", "1")]).is_err());
    }

    #[test]
    fn settings_that_do_not_go_together_are_told_with_their_places() {
        let file = "peer-addr = '127.0.0.1:7379'\ncluster-secret-file = 's'\nlease-ms = 900";
        let told = sources(file, &[("CARILLON_ELECTION_MS", "151")], &[]).expect_err("is wrong");
        assert!(told.starts_with("--lease-ms 900 is too short for --election-ms 151"), "{told}");
        assert!(told.ends_with("(lease-ms: c.toml:3, election-ms: CARILLON_ELECTION_MS)"), "{told}");
    }

    #[test]
    fn a_variable_that_is_empty_or_no_setting_says_nothing() {
        let variables = [("CARILLON_SHARDS", ""), ("CARILLON_PORT", "tcp://10.0.0.1:80"), ("SHARDS", "x")];
        let loaded = sources("shards = 2", &variables, &[]).expect("is right");
        assert_eq!(origin(&loaded, "shards"), "c.toml:1");
    }

    #[test]
    fn the_flag_that_names_the_file_goes_before_the_variable() {
        let error = sources("shards = 0", &[(CONFIG_VARIABLE, "nowhere.toml")], &[]).expect_err("is wrong");
        assert!(error.starts_with("c.toml:1: "), "{error}");
        let variable = [(CONFIG_VARIABLE.to_owned(), "nowhere.toml".to_owned())];
        let error = Sources::default().with_variables(variable).load().expect_err("is not there");
        assert!(
            error.to_string().starts_with("the configuration file nowhere.toml cannot be read"),
            "{error}"
        );
    }

    #[test]
    fn an_embedded_node_needs_no_source() {
        let settings = Settings::default().shards(2);
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(Sources::default().load().expect("is right").settings, Settings::default());
    }
}
