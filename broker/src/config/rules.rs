//! What settings mean together, and which do not go together.

use super::{Settings, TABLE, TlsClientAuth, error::told_again};

/// Settings that do not go with each other. It speaks of them as of flags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SettingsError {
    text: String,
    /// Names of the settings that it is about.
    pub settings: &'static [&'static str],
}

/// Highest eviction time in milliseconds: clients give up an answer after 5 seconds.
const EVICTION_MS_MAX: u64 = 5_000;

/// By how much clocks of two machines may differ in speed, in parts of a lease, and never less than some
/// milliseconds.
const CLOCK_MARGIN_PART: u64 = 10;
const CLOCK_MARGIN_MS: u64 = 200;

fn wrong<T>(settings: &'static [&'static str], text: String) -> Result<T, SettingsError> {
    Err(SettingsError { text, settings })
}

impl Settings {
    /// Milliseconds between two requests for a lease.
    pub fn renewal_ms(&self) -> u64 {
        (self.lease_ms / 25).clamp(20, 100)
    }

    /// The address that other nodes dial.
    pub fn advertise(&self) -> Result<String, SettingsError> {
        if let Some(addr) = &self.advertise_addr {
            return Ok(addr.clone());
        }
        match self.peer_addr {
            Some(addr) if addr.ip().is_unspecified() || addr.port() == 0 => {
                let text = format!(
                    "other nodes cannot dial --peer-addr {addr}; say what they can dial with --advertise-addr"
                );
                wrong(&["peer-addr"], text)
            }
            Some(addr) => Ok(addr.to_string()),
            None => wrong(&["peer-addr"], "there is no --peer-addr".to_owned()),
        }
    }

    /// How many nodes have to be there before a cluster is formed.
    pub fn expected(&self) -> Result<u32, SettingsError> {
        if let Some(expect) = self.expect {
            return Ok(expect);
        }
        let advertise = self.advertise()?;
        let others = self.peers.iter().filter(|peer| **peer != advertise).count();
        Ok(others as u32 + 1)
    }

    /// Checks each setting, and all against each other.
    pub fn check(&self) -> Result<(), SettingsError> {
        for row in TABLE {
            let value = row.get(self);
            if !row.kind.allows(&value) {
                let (name, shown) = (row.name, told_again(&row.kind.show(&value)));
                let text = format!("--{name} '{shown}': allowed is {}", row.kind.allowed());
                return wrong(std::slice::from_ref(&row.name), text);
            }
        }
        self.check_certificates()?;
        self.check_tls()?;
        if self.peer_addr.is_none() {
            if !self.peers.is_empty() || self.expect.is_some_and(|expect| expect > 1) {
                let text = "--peers and --expect are for a cluster, which needs --peer-addr on each node";
                return wrong(&["peers", "expect"], text.to_owned());
            }
            return Ok(());
        }
        if self.cluster_secret_file.is_none() && self.peer_ca_file.is_none() {
            let text = "--peer-addr needs --cluster-secret-file (openssl rand -hex 32 makes a secret), or \
                        --peer-ca-file, --peer-cert-file and --peer-key-file";
            return wrong(&["peer-addr"], text.to_owned());
        }
        self.check_times()?;
        self.advertise().and_then(|_| self.expected()).map(drop)
    }

    fn check_certificates(&self) -> Result<(), SettingsError> {
        if self.cluster_secret_file.is_some() && self.peer_ca_file.is_some() {
            let text = "--cluster-secret-file and --peer-ca-file cannot be used together";
            return wrong(&["cluster-secret-file", "peer-ca-file"], text.to_owned());
        }
        let files = [&self.peer_ca_file, &self.peer_cert_file, &self.peer_key_file];
        let given = files.iter().filter(|file| file.is_some()).count();
        if given == 0 || given == files.len() {
            return Ok(());
        }
        let text = "--peer-ca-file, --peer-cert-file and --peer-key-file need each other";
        wrong(&["peer-ca-file", "peer-cert-file", "peer-key-file"], text.to_owned())
    }

    fn check_tls(&self) -> Result<(), SettingsError> {
        let given = [self.tls_addr.is_some(), self.tls_cert_file.is_some(), self.tls_key_file.is_some()];
        if given.contains(&true) && given.contains(&false) {
            let text = "--tls-addr, --tls-cert-file and --tls-key-file need each other";
            return wrong(&["tls-addr", "tls-cert-file", "tls-key-file"], text.to_owned());
        }
        if self.tls_only && self.tls_addr.is_none() {
            let text = "--tls-only needs --tls-addr: nobody could connect";
            return wrong(&["tls-only"], text.to_owned());
        }
        if self.tls_client_auth != TlsClientAuth::No && self.tls_ca_file.is_none() {
            let text = "--tls-client-auth needs --tls-ca-file: the authority of clients' certificates";
            return wrong(&["tls-client-auth"], text.to_owned());
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), SettingsError> {
        let Self { lease_ms, eviction_ms, election_ms, link_idle_ms, .. } = self;
        let slowest_election = 3 * 2 * election_ms + self.renewal_ms();
        if *lease_ms <= slowest_election {
            let text = format!(
                "--lease-ms {lease_ms} is too short for --election-ms {election_ms}: it has to be above \
                 {slowest_election}, or a leader's death would fence every node"
            );
            return wrong(&["lease-ms", "election-ms"], text);
        }
        let margin = CLOCK_MARGIN_MS.max(lease_ms / CLOCK_MARGIN_PART);
        if *eviction_ms < lease_ms + margin {
            let text = format!(
                "--eviction-ms {eviction_ms} is too short for --lease-ms {lease_ms}: it has to be at least {}",
                lease_ms + margin
            );
            return wrong(&["eviction-ms", "lease-ms"], text);
        }
        if *eviction_ms >= EVICTION_MS_MAX {
            let text = format!(
                "--eviction-ms {eviction_ms} has to be below {EVICTION_MS_MAX}: clients give up waiting after that"
            );
            return wrong(&["eviction-ms"], text);
        }
        if link_idle_ms >= lease_ms {
            let text = format!("--link-idle-ms {link_idle_ms} has to be below --lease-ms {lease_ms}");
            return wrong(&["link-idle-ms", "lease-ms"], text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Kind, Value};

    fn check(change: impl FnOnce(&mut Settings)) -> Result<(), String> {
        let mut settings =
            Settings::default().peer_addr(([127, 0, 0, 1], 7379)).cluster_secret_file("secret");
        change(&mut settings);
        settings.check().map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_checked_against_each_other() {
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(
            check(|settings| {
                settings.lease_ms = 1_200;
                settings.eviction_ms = 1_700;
            }),
            Ok(())
        );
        assert!(check(|settings| settings.lease_ms = 900).unwrap_err().contains("--election-ms 150"));
        assert!(check(|settings| settings.eviction_ms = 2_600).unwrap_err().contains("at least 2750"));
        assert!(check(|settings| settings.eviction_ms = 5_000).unwrap_err().contains("below 5000"));
    }

    #[test]
    fn a_program_may_give_what_a_flag_may_and_nothing_else() {
        let wrong = |change: fn(Settings) -> Settings, says: &str| {
            let error = change(Settings::default()).check().expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        };
        wrong(|settings| settings.shards(0), "--shards '0': allowed is a whole number from 1 to 64");
        wrong(|settings| settings.shards(255), "--shards '255'");
        wrong(|settings| settings.election_ms(u64::MAX), "--election-ms");
        wrong(|settings| settings.payload_bytes_max(0_u64), "--payload-bytes-max '0'");
        wrong(|settings| settings.clients_max(0_usize), "--clients-max");
        wrong(|settings| settings.name(""), "--name");
        wrong(|settings| settings.name("two lines\n"), "--name");
        wrong(|settings| settings.log_level("bogus!!"), "--log-level");
        wrong(|settings| settings.peers(["not an address"]), "--peers");
        wrong(|settings| settings.advertise_addr("x"), "--advertise-addr");
        wrong(|settings| settings.data_dir(""), "--data-dir");
        wrong(|settings| settings.recent_ms(0_u64), "--recent-ms");
        wrong(|settings| settings.expect(0_u32), "--expect");
        for row in TABLE {
            let (Kind::Number { min, max } | Kind::Bytes { min, max }) = row.kind else { continue };
            for number in [min.wrapping_sub(1), max.wrapping_add(1)] {
                let mut settings = Settings::default();
                // What is beyond the field's type cannot be given at all.
                if row.set(&mut settings, Value::Number(number)) {
                    let error = settings.check().expect_err(row.name).to_string();
                    assert!(error.starts_with(&format!("--{} ", row.name)), "{error}");
                }
            }
        }
    }

    #[test]
    fn addresses_are_such_as_others_can_dial() {
        let any = |settings: &mut Settings| settings.peer_addr = Some(([0, 0, 0, 0], 7379).into());
        assert!(check(any).unwrap_err().contains("--advertise-addr"));
        assert_eq!(
            check(|settings| {
                any(settings);
                settings.advertise_addr = Some("host:7379".into());
            }),
            Ok(())
        );
    }

    #[test]
    fn a_node_proves_itself_with_a_secret_or_with_certificates() {
        assert!(
            check(|settings| settings.peer_ca_file = Some("ca".into())).unwrap_err().contains("together")
        );
        let half = |settings: &mut Settings| {
            settings.cluster_secret_file = None;
            settings.peer_ca_file = Some("ca".into());
            settings.peer_cert_file = Some("cert".into());
        };
        assert!(check(half).unwrap_err().contains("need each other"));
        assert_eq!(
            check(|settings| {
                half(settings);
                settings.peer_key_file = Some("key".into());
            }),
            Ok(())
        );
    }
}
