//! Who may ask.

use std::{fmt, fs, io, path::Path, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use ring::digest::{Digest, SHA256, digest};

/// What those who ask have to show: `Authorization: Bearer TOKEN`
/// ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
pub struct Token(Digest);

impl Token {
    /// Reads it from a file; white space around it does not count.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let text = text.trim();
        if text.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
        }
        Ok(Self(digest(&SHA256, text.as_bytes())))
    }

    /// Compares the hashes: how long that takes tells nothing of the token.
    fn is(&self, shown: &str) -> bool {
        digest(&SHA256, shown.as_bytes()).as_ref() == self.0.as_ref()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

pub(super) async fn check(State(token): State<Option<Arc<Token>>>, request: Request, next: Next) -> Response {
    let is_allowed = token.is_none_or(|token| shown(&request).is_some_and(|shown| token.is(shown)));
    if is_allowed {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "show the token of --admin-token-file\n").into_response()
}

fn shown(request: &Request) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
