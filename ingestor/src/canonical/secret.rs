//! Parameters whose names say that they carry a credential. URLs go to third parties, so these go nowhere.

/// Longer than every secret name, so that a name cut here equals none of them.
const NAME_BYTES: usize = 16;

/// Whether a query has a parameter with such a name, with or without a value.
pub(super) fn in_query(query: &str) -> bool {
    query.split(['&', ';']).any(|parameter| {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        is_secret(name)
    })
}

/// Whether a path has such a `;name=`.
pub(super) fn in_path(path: &str) -> bool {
    path.split(';').skip(1).any(|parameter| {
        let (segment, _) = parameter.split_once('/').unwrap_or((parameter, ""));
        segment.split_once('=').is_some_and(|(name, _)| is_secret(name))
    })
}

/// Compares the name as the origin will read it: without case, with escapes decoded once, and what stands in
/// brackets as a name of its own (`user[password]`).
fn is_secret(name: &str) -> bool {
    let mut part = Part::default();
    for byte in percent_encoding::percent_decode_str(name) {
        if !matches!(byte, b'[' | b']') {
            part.push(byte);
        } else if part.is_secret() {
            return true;
        } else {
            part = Part::default();
        }
    }
    part.is_secret()
}

/// The beginning of a name, in lower case.
#[derive(Default)]
struct Part {
    bytes: [u8; NAME_BYTES],
    len: usize,
}

impl Part {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte.to_ascii_lowercase();
            self.len += 1;
        }
    }

    fn is_secret(&self) -> bool {
        let name = self.bytes.get(..self.len).unwrap_or_default();
        name.starts_with(b"x-amz-") || name.starts_with(b"x-goog-") || is_secret_lower_case(name)
    }
}

fn is_secret_lower_case(name: &[u8]) -> bool {
    matches!(
        name,
        b"token"
            | b"access_token"
            | b"id_token"
            | b"refresh_token"
            | b"auth"
            | b"auth_token"
            | b"authorization"
            | b"api_key"
            | b"apikey"
            | b"jwt"
            | b"sig"
            | b"signature"
            | b"session"
            | b"sessionid"
            | b"session_id"
            | b"sid"
            | b"phpsessid"
            | b"jsessionid"
            | b"password"
            | b"passwd"
            | b"pwd"
            | b"secret"
            | b"client_secret"
            | b"otp"
            | b"reset_token"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_count_in_any_case_and_spelling() {
        for query in [
            "token=1",
            "a=1&Token",
            "a;SID=2",
            "%74oken=1",
            "X-Amz-Signature=1",
            "x-goog-=",
            "&&otp=",
            "token[]=1",
            "user%5Bpassword%5D=1",
            "a[b][Sid]=1",
        ] {
            assert!(in_query(query), "{query}");
        }
        for query in [
            "",
            "tokens=1",
            "my_token=1",
            "a=token",
            "tokenize",
            "x-amzn=1",
            "authorizationsareus=1",
            "tokens[]=1",
            "a=[token]",
        ] {
            assert!(!in_query(query), "{query}");
        }
    }

    #[test]
    fn path_parameters_count_with_a_value_only() {
        for path in [
            "/a;jsessionid=1",
            "/a;b=1;SID=/c",
            "/a;%6Aessionid=/;sid=2/x",
            "/;pwd=1/d",
        ] {
            assert!(in_path(path), "{path}");
        }
        for path in ["/a;jsessionid", "/sid=1", "/a;b/sid=1", "/a;sid/b=1"] {
            assert!(!in_path(path), "{path}");
        }
    }
}
