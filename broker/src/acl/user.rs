//! A user: who may be it, and what it may do.

use super::{
    PasswordHash, Selector,
    rule::{Known, RuleError, has_spaces},
};

/// A user. [`User::new`] may do nothing and nobody can be it, as in Redis.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: Box<[u8]>,
    /// Tells it from one of the same name that was removed before.
    pub created: u64,
    is_enabled: bool,
    /// Any password is its own.
    is_nopass: bool,
    /// What was said of RESTORE, of which there is none here; told again.
    sanitizes: Option<bool>,
    passwords: Vec<PasswordHash>,
    /// The user's own selector comes first.
    pub(super) selectors: Vec<Selector>,
}

/// Whether a name is one that a user can have.
pub fn is_valid_name(name: &[u8]) -> bool {
    !name.is_empty() && !has_spaces(name)
}

impl User {
    /// A user that may do nothing and that nobody can be.
    pub fn new(name: &[u8]) -> Self {
        Self {
            name: name.into(),
            created: 0,
            is_enabled: false,
            is_nopass: false,
            sanitizes: None,
            passwords: Vec::new(),
            selectors: vec![Selector::default()],
        }
    }

    /// A user that may do everything and needs no password: the default user of a server that nobody has set up.
    pub fn unrestricted(name: &[u8]) -> Self {
        Self { is_enabled: true, is_nopass: true, selectors: vec![Selector::all()], ..Self::new(name) }
    }

    /// Applies a rule of ACL SETUSER. After an error the user may not be used.
    pub fn apply(&mut self, rule: &[u8], known: Known) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.is_enabled = true,
            b"off" => self.is_enabled = false,
            b"nopass" => {
                self.is_nopass = true;
                self.passwords.clear();
            }
            b"resetpass" => {
                self.is_nopass = false;
                self.passwords.clear();
            }
            b"sanitize-payload" => self.sanitizes = Some(true),
            b"skip-sanitize-payload" => self.sanitizes = Some(false),
            b"clearselectors" => self.selectors.truncate(1),
            b"reset" => {
                *self = Self { created: self.created, sanitizes: Some(true), ..Self::new(&self.name) };
            }
            [b'>' | b'#', ..] => self.add_password(hash(rule)?),
            [b'<' | b'!', ..] => return self.remove_password(hash(rule)?),
            [b'(', .., b')'] => {
                let mut selector = Selector::default();
                let words = rule[1..rule.len() - 1].split(u8::is_ascii_whitespace);
                for word in words.filter(|word| !word.is_empty()) {
                    if word.ends_with(b")") {
                        // Told again, the selector would end here, and the rest of it hold for all of the user.
                        return Err(RuleError::Syntax);
                    }
                    selector.apply(word, known)?;
                }
                self.selectors.push(selector);
            }
            _ => return self.selectors[0].apply(rule, known),
        }
        Ok(())
    }

    fn add_password(&mut self, hash: PasswordHash) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.is_nopass = false;
    }

    fn remove_password(&mut self, hash: PasswordHash) -> Result<(), RuleError> {
        let count = self.passwords.len();
        self.passwords.retain(|known| *known != hash);
        if self.passwords.len() < count { Ok(()) } else { Err(RuleError::NoSuchPassword) }
    }

    /// Whether someone with this password is this user. Every password is compared, whichever of them fits.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let hash = PasswordHash::of(password);
        let fits = self.passwords.iter().fold(false, |fits, known| fits | known.matches(&hash));
        self.is_enabled && (self.is_nopass || fits)
    }

    /// Whether any password is accepted.
    pub fn is_nopass(&self) -> bool {
        self.is_nopass
    }

    /// Whether everyone is this user without a word: true of the default user of an open server.
    pub fn is_open(&self) -> bool {
        self.is_nopass && self.is_enabled
    }

    /// Whether nothing has to be checked for it.
    pub fn is_unrestricted(&self) -> bool {
        self.selectors.iter().any(Selector::is_unrestricted)
    }

    /// The words of ACL GETUSER for what it is.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.is_enabled { "on" } else { "off" }];
        flags.extend(self.is_nopass.then_some("nopass"));
        flags.extend(
            self.sanitizes.map(|does| if does { "sanitize-payload" } else { "skip-sanitize-payload" }),
        );
        flags
    }

    /// The hashes of its passwords.
    pub fn passwords(&self) -> &[PasswordHash] {
        &self.passwords
    }

    /// Its own selector.
    pub fn own_selector(&self) -> &Selector {
        &self.selectors[0]
    }

    /// The selectors that it has besides.
    pub fn more_selectors(&self) -> &[Selector] {
        &self.selectors[1..]
    }

    /// Rules that make this user of a new one.
    pub fn describe(&self) -> Vec<u8> {
        let mut words: Vec<Vec<u8>> = self.flags().iter().map(|flag| flag.as_bytes().to_vec()).collect();
        words.extend(self.passwords.iter().map(|hash| format!("#{hash}").into_bytes()));
        words.push(self.selectors[0].describe());
        let more = self.more_selectors().iter();
        words.extend(more.map(|selector| [b"(", &*selector.describe(), b")"].concat()));
        words.join(&b' ')
    }
}

/// The hash that a rule about a password means.
fn hash(rule: &[u8]) -> Result<PasswordHash, RuleError> {
    match rule {
        [b'>' | b'<', password @ ..] => Ok(PasswordHash::of(password)),
        [_, hex @ ..] => PasswordHash::from_hex(hex).ok_or(RuleError::BadHash),
        [] => Err(RuleError::Syntax),
    }
}
