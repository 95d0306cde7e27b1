//! What to do when an address cannot be listened on.

use std::io::{Error, ErrorKind};

/// The end of an error, behind what the system said.
pub(crate) fn advice(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "; is another node or server running there?",
        ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        ErrorKind::PermissionDenied => "; this user may not listen there",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn advice_is_given_for_what_has_happened() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let again = TcpListener::bind(taken.local_addr().unwrap()).unwrap_err();
        assert!(advice(&again).contains("is another"), "{again}");
        // An address of a network that is for documentation (RFC 5737).
        let elsewhere = TcpListener::bind("192.0.2.1:0").unwrap_err();
        assert!(advice(&elsewhere).contains("does not have"), "{elsewhere}");
    }
}
