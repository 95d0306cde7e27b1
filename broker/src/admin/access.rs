//! Who may ask.

use std::{
    fmt, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use ring::digest::{Digest, SHA256, digest};

use crate::{Contents, lock::lock};

/// How long the file may take to be read.
const READ_TIME_MAX: Duration = Duration::from_secs(1);

/// What those who ask have to show: `Authorization: Bearer TOKEN`
/// ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
///
/// It is what the file has when somebody asks, so that it can be changed: operators ask rarely.
pub struct Token {
    file: Contents,
    /// What the file had when it could last be read.
    last: Mutex<Digest>,
}

impl Token {
    /// Reads it from a file; white space around it does not count.
    pub fn read(file: &Contents) -> io::Result<Self> {
        Ok(Self { file: file.clone(), last: Mutex::new(load(file)?) })
    }

    /// Compares the hashes: how long that takes tells nothing of the token.
    async fn is(&self, shown: &str) -> bool {
        let file = self.file.clone();
        // The file may be on a disk that does not answer.
        let read = tokio::task::spawn_blocking(move || load(&file));
        let now = tokio::time::timeout(READ_TIME_MAX, read).await;
        let mut last = lock(&self.last);
        if let Ok(Ok(Ok(now))) = now {
            *last = now;
        }
        digest(&SHA256, shown.as_bytes()).as_ref() == last.as_ref()
    }
}

fn load(file: &Contents) -> io::Result<Digest> {
    let bytes = file.read()?;
    let token = bytes.trim_ascii();
    if token.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
    }
    Ok(digest(&SHA256, token))
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

pub(super) async fn check(State(token): State<Option<Arc<Token>>>, request: Request, next: Next) -> Response {
    let is_allowed = match (&token, shown(&request)) {
        (None, _) => true,
        (Some(token), Some(shown)) => token.is(shown).await,
        (Some(_), None) => false,
    };
    if is_allowed {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "show the token of --admin-token-file\n").into_response()
}

fn shown(request: &Request) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
