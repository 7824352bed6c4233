//! The bearer token of admin requests that change something.

use std::path::PathBuf;

use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use subtle::ConstantTimeEq;

/// Compares a request's token with the one in a file, which is read anew each time so that it can be rotated.
#[derive(Clone, Debug, Default)]
pub struct Token {
    file: Option<PathBuf>,
}

impl Token {
    /// Guards with the token in `file`; without a file nothing may be changed.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Lets a request pass.
    ///
    /// # Errors
    /// 403 without a token file (or with one that cannot be read or is empty), 401 with another token.
    pub async fn check(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let file = self.file.as_ref().ok_or(StatusCode::FORBIDDEN)?;
        let text = tokio::fs::read_to_string(file).await.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the admin token file cannot be read"
            );
            StatusCode::FORBIDDEN
        })?;
        let expected = text.trim();
        if expected.is_empty() {
            return Err(StatusCode::FORBIDDEN);
        }
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        // A comparison that stops at the first difference would tell how much of a guess was right.
        if bool::from(expected.as_bytes().ct_eq(given)) {
            Ok(())
        } else {
            Err(StatusCode::UNAUTHORIZED)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn bearer(token: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    #[tokio::test]
    async fn without_a_file_nothing_may_be_changed() {
        assert_eq!(
            Token::new(None).check(&bearer("x")).await,
            Err(StatusCode::FORBIDDEN)
        );
        let missing = Token::new(Some("/nonexistent/token".into()));
        assert_eq!(missing.check(&bearer("x")).await, Err(StatusCode::FORBIDDEN));
    }

    #[tokio::test]
    async fn an_empty_file_lets_nobody_pass() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let token = Token::new(Some(file.path().to_owned()));
        assert_eq!(token.check(&bearer("")).await, Err(StatusCode::FORBIDDEN));
    }

    #[tokio::test]
    async fn the_token_is_compared_with_the_file_as_it_is_now() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first\n").unwrap();
        let token = Token::new(Some(file.path().to_owned()));
        assert_eq!(token.check(&bearer("first")).await, Ok(()));
        assert_eq!(
            token.check(&bearer("second")).await,
            Err(StatusCode::UNAUTHORIZED)
        );
        assert_eq!(
            token.check(&HeaderMap::new()).await,
            Err(StatusCode::UNAUTHORIZED)
        );
        std::fs::write(file.path(), "second").unwrap();
        assert_eq!(token.check(&bearer("second")).await, Ok(()));
    }
}
