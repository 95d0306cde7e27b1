//! A row of the table of settings, and the macro that makes of rows the table and the typed struct.

use super::{Kind, Settings, Value};

/// Under which heading a setting stands in the help, the sample file and the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where clients connect, and who may.
    Clients,
    /// What clients may take.
    Limits,
    /// What a node is and keeps.
    Node,
    /// How several nodes are one.
    Cluster,
    /// For those who run it.
    Operators,
}

impl Group {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Clients, Self::Limits, Self::Node, Self::Cluster, Self::Operators];

    /// The heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Clients => "Clients",
            Self::Limits => "Limits",
            Self::Node => "Node",
            Self::Cluster => "Cluster",
            Self::Operators => "Operators",
        }
    }
}

/// A setting: everything that is known about it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name, which is the flag's without `--` and the key in the file.
    pub name: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Where it is shown.
    pub group: Group,
    /// What it may be.
    pub kind: Kind,
    /// Why its default is what it is, as a sentence.
    pub why: Option<&'static str>,
    /// Whether it can change while the node runs: at SIGHUP and, if Redis has it too, with CONFIG SET.
    pub is_live: bool,
    /// What Redis calls it, for CONFIG GET and CONFIG SET.
    pub redis: Option<&'static str>,
    pub(super) doc: &'static str,
    pub(super) get: fn(&Settings) -> Value,
    pub(super) set: fn(&mut Settings, Value) -> bool,
}

impl Row {
    /// What a row says that says nothing more.
    pub(super) const REST: Self = Self {
        name: "",
        variable: "",
        group: Group::Node,
        kind: Kind::Bool,
        why: None,
        is_live: false,
        redis: None,
        doc: "",
        get: |_| Value::Unset,
        set: |_, _| false,
    };

    /// What it is for.
    pub fn help(&self) -> &'static str {
        self.doc.trim()
    }

    /// Its value in these settings.
    pub fn get(&self, settings: &Settings) -> Value {
        (self.get)(settings)
    }

    /// Sets a value that [`Kind::parse`] has allowed, or that another [`get`](Self::get) gave. Returns whether it is
    /// of the right type.
    pub fn set(&self, settings: &mut Settings, value: Value) -> bool {
        (self.set)(settings, value)
    }

    /// Its value in these settings, for people; what a program has given is not told.
    pub fn show(&self, settings: &Settings) -> String {
        self.kind.show(&self.get(settings))
    }

    /// By what it can change while the node runs, for people; empty if by nothing.
    pub fn changed_by(&self) -> String {
        match (self.is_live, self.redis) {
            (false, _) => String::new(),
            (true, None) => "SIGHUP".to_owned(),
            (true, Some(redis)) => format!("SIGHUP, CONFIG SET {redis}"),
        }
    }
}

/// The row of a setting.
pub fn row(name: &str) -> Option<&'static Row> {
    super::TABLE.iter().find(|row| row.name == name)
}

/// `lease_ms` as `lease-ms`.
pub(super) const fn name<const LEN: usize>(field: &str) -> [u8; LEN] {
    spell("", field, false)
}

/// `lease_ms` as `CARILLON_LEASE_MS`.
pub(super) const fn variable<const LEN: usize>(field: &str) -> [u8; LEN] {
    spell(PREFIX, field, true)
}

/// What every variable's name begins with.
pub(super) const PREFIX: &str = "CARILLON_";

const fn spell<const LEN: usize>(prefix: &str, field: &str, is_variable: bool) -> [u8; LEN] {
    let mut spelled = [0; LEN];
    let mut at = 0;
    while at < LEN {
        spelled[at] = if at < prefix.len() {
            prefix.as_bytes()[at]
        } else {
            match field.as_bytes()[at - prefix.len()] {
                b'_' if !is_variable => b'-',
                byte if is_variable => byte.to_ascii_uppercase(),
                byte => byte,
            }
        };
        at += 1;
    }
    spelled
}

/// What [`spell`] has made, as a text.
pub(super) const fn text(spelled: &'static [u8]) -> &'static str {
    match str::from_utf8(spelled) {
        Ok(text) => text,
        Err(_) => panic!("fields have ASCII names"),
    }
}

/// Declares the settings: the struct, its defaults, and the table.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty = $default:expr, { $($key:ident: $value:expr),+ $(,)? }
    )+) => {
        /// Everything that can be set of a node: the fields to read, and methods of the same names to set them.
        ///
        /// ```
        /// use carillon_broker::config::Settings;
        ///
        /// let settings = Settings::default()
        ///     .name("a")
        ///     .client_addr(([10, 0, 0, 1], 6379))
        ///     .data_dir("/var/lib/chat")
        ///     .allow_anonymous(true)
        ///     .shards(2);
        /// assert_eq!(settings.check(), Ok(()));
        /// assert_eq!(settings.clients_max, 10_000, "what is not set has its default");
        /// ```
        ///
        /// Methods take whatever [becomes](super::IntoSetting) a value of the field's type: texts and paths as they are, and for
        /// an `Option` what is in it. What a value has to be beside its type is told by [`check`](Self::check), which a node
        /// asks before it starts.
        #[derive(Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Settings {
            $(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $field(mut self, $field: impl IntoSetting<$type>) -> Self {
                    self.$field = $field.into_setting();
                    self
                }
            )+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        /// Every setting, once.
        #[allow(clippy::needless_update, reason = "few rows say everything")]
        pub static TABLE: &[Row] = &[$(Row {
            name: {
                const LEN: usize = stringify!($field).len();
                const NAME: [u8; LEN] = row::name(stringify!($field));
                row::text(&NAME)
            },
            variable: {
                const LEN: usize = row::PREFIX.len() + stringify!($field).len();
                const NAME: [u8; LEN] = row::variable(stringify!($field));
                row::text(&NAME)
            },
            doc: concat!($($doc),+),
            get: |settings| settings.$field.to_value(),
            set: |settings, value| {
                Typed::from_value(value).map(|value| settings.$field = value).is_some()
            },
            $($key: $value,)+
            ..Row::REST
        }),+];
    };
}

pub(super) use settings;
