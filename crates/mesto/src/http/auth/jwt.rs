//! Access tokens: JSON Web Tokens of exactly one kind.
//!
//! There is one algorithm (HMAC-SHA-256, RFC 7518 `HS256`) and one header, which is compared as text before anything
//! is parsed. So a token cannot choose how it is checked: `none`, another algorithm, a key of its own or a header
//! that merely means the same is no token of ours.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::TokenError;

/// `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Whom tokens are for: the API of a node.
pub(super) const AUDIENCE: &str = "mesto";

/// Longest token that is looked at: 64 permissions of 70 characters, and room.
const TOKEN_LEN_MAX: usize = 8 * 1024;

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Who it was given to.
    pub(super) sub: String,
    /// Which node gave it.
    pub(super) iss: String,
    /// [`AUDIENCE`].
    pub(super) aud: String,
    /// Seconds since 1970 at which it ends.
    pub(super) exp: u64,
    /// Seconds since 1970 at which it was given.
    pub(super) iat: u64,
    /// The login that it belongs to, a dot, and the number of its refresh.
    pub(super) jti: String,
    /// What it allowed when it was given. The login itself decides.
    pub(super) permissions: Vec<String>,
}

/// Makes and checks tokens.
pub(super) struct Signer {
    key: Zeroizing<[u8; 32]>,
    issuer: String,
}

impl Signer {
    pub(super) fn new(key: Zeroizing<[u8; 32]>, issuer: String) -> Self {
        Self { key, issuer }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn sign(&self, claims: &Claims) -> String {
        let payload = serde_json::to_vec(claims).expect("INVARIANT: claims are texts and numbers, which always encode");
        let mut token = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(payload));
        let mac = self.mac(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(mac, &mut token);
        token
    }

    /// What a token of ours says, if its time is not over.
    pub(super) fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(TokenError::Invalid);
        }
        let (signed, mac) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
        let payload = signed.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('.')).ok_or(TokenError::Invalid)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| TokenError::Invalid)?;
        self.mac(signed.as_bytes()).verify_slice(&mac).map_err(|_| TokenError::Invalid)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Invalid)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Invalid)?;
        if claims.iss != self.issuer || claims.aud != AUDIENCE {
            return Err(TokenError::Invalid);
        }
        if claims.exp <= now_s { Err(TokenError::Expired) } else { Ok(claims) }
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("INVARIANT: HMAC takes keys of any length");
        mac.update(bytes);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const KEY: [u8; 32] = [7; 32];
    const NOW: u64 = 1_000;

    fn signer() -> Signer {
        Signer::new(Zeroizing::new(KEY), "node".to_owned())
    }

    fn claims() -> Claims {
        Claims {
            sub: "anna".into(),
            iss: "node".into(),
            aud: AUDIENCE.into(),
            exp: NOW + 1,
            iat: NOW,
            jti: "x.0".into(),
            permissions: vec!["admin".into()],
        }
    }

    /// A token that is signed with the right key, whatever its header and claims say.
    fn forged(header: &Value, claims: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(header), text(claims));
        let mac = signer().mac(signed.as_bytes()).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    fn changed(key: &str, value: Value) -> Value {
        let mut claims = serde_json::to_value(claims()).unwrap();
        claims[key] = value;
        claims
    }

    fn header() -> Value {
        json!({"alg": "HS256", "typ": "JWT"})
    }

    #[test]
    fn the_header_is_the_one_that_it_says() {
        assert_eq!(URL_SAFE_NO_PAD.decode(HEADER).unwrap(), br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    /// Made with Python: `hmac.new(bytes([7] * 32), signing_input, "sha256")`.
    #[test]
    fn a_token_is_what_every_other_library_makes() {
        let token = signer().sign(&claims());
        let (signed, mac) = token.rsplit_once('.').unwrap();
        let payload = signed.split_once('.').unwrap().1;
        let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        assert_eq!(
            payload,
            r#"{"sub":"anna","iss":"node","aud":"mesto","exp":1001,"iat":1000,"jti":"x.0","permissions":["admin"]}"#
        );
        assert_eq!(mac, GOLDEN_MAC);
    }

    const GOLDEN_MAC: &str = "Wq5oJNDa_Qk-ZH8goV-C_4YQ9EqoDN9o77CQRhDYEpI";

    #[test]
    fn a_token_holds_until_its_time_is_over() {
        let token = signer().sign(&claims());
        assert_eq!(signer().verify(&token, NOW), Ok(claims()));
        assert_eq!(signer().verify(&token, NOW + 1), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_does_not_choose_how_it_is_checked() {
        let good = serde_json::to_value(claims()).unwrap();
        assert!(signer().verify(&forged(&header(), &good), NOW).is_ok(), "the forgery itself is sound");
        for header in [
            json!({"alg": "none", "typ": "JWT"}),
            json!({"alg": "None"}),
            json!({"alg": "RS256", "typ": "JWT"}),
            json!({"alg": "HS512", "typ": "JWT"}),
            json!({"alg": "EdDSA", "typ": "JWT"}),
            json!({"alg": "HS256"}),
            json!({"alg": "HS256", "typ": "JWT", "kid": "../../dev/null"}),
            json!({"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": ""}}),
        ] {
            assert_eq!(signer().verify(&forged(&header, &good), NOW), Err(TokenError::Invalid), "{header}");
        }
        let unsigned = format!("{HEADER}.{}.", URL_SAFE_NO_PAD.encode(good.to_string()));
        let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(good.to_string()));
        for token in [unsigned, none, String::new(), "..".into(), "a.b.c".into(), "x".repeat(TOKEN_LEN_MAX + 1)] {
            assert_eq!(signer().verify(&token, NOW), Err(TokenError::Invalid), "{token}");
        }
    }

    #[test]
    fn a_token_of_another_node_or_for_another_use_is_refused() {
        for (key, value) in [("iss", json!("other")), ("aud", json!("other")), ("aud", json!(["mesto"])), ("exp", json!("never"))] {
            let token = forged(&header(), &changed(key, value));
            assert_eq!(signer().verify(&token, NOW), Err(TokenError::Invalid), "{key}");
        }
        let other = Signer::new(Zeroizing::new([8; 32]), "node".to_owned()).sign(&claims());
        assert_eq!(signer().verify(&other, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn no_bit_of_a_token_can_change() {
        let token = signer().sign(&claims());
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(signer().verify(&changed, NOW), Err(TokenError::Invalid), "{at}");
        }
    }
}
