use super::*;
use mesto_oplog::SigningKey;

const NOW: u64 = 1_000_000;
const HOST: &str = "127.0.0.1:2480";

struct World {
    folder: tempfile::TempDir,
    auth: Auth,
}

fn open(folder: &tempfile::TempDir) -> Auth {
    Auth::open(Settings {
        token: Zeroizing::new("home".to_owned()),
        secret: Zeroizing::new([5; 32]),
        book: folder.path().join("auth.json"),
        issuer: "node".to_owned(),
    })
    .unwrap()
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    World { auth: open(&folder), folder }
}

fn wish(client: &str) -> Wish<'_> {
    Wish { client, permissions: None }
}

fn some(texts: &[&str]) -> Permissions {
    Permissions::parse(texts).unwrap()
}

impl World {
    fn owner(&self) -> Caller {
        self.auth.caller("home", NOW).unwrap()
    }

    async fn anna(&self) -> GrantId {
        self.auth.add_password("anna", "correct horse", some(&["context:execute", "blob:read"]), NOW).await.unwrap().0
    }

    async fn log_in(&self) -> Tokens {
        self.auth.by_password("anna", "correct horse", wish("test"), NOW).await.unwrap()
    }
}

#[tokio::test]
async fn a_password_opens_what_its_user_may() {
    let world = world();
    world.anna().await;
    let tokens = world.log_in().await;
    let caller = world.auth.caller(&tokens.access, NOW).unwrap();
    assert_eq!((caller.subject.as_str(), caller.permissions), ("anna", some(&["context:execute", "blob:read"])));
    assert_eq!(world.auth.caller(&tokens.access, NOW + ACCESS_S).unwrap_err(), TokenError::Expired);
    let refused = world.auth.by_password("anna", "incorrect horse", wish("test"), NOW).await.unwrap_err();
    assert_eq!(refused, AuthError::Refused);
    let refused = world.auth.by_password("boris", "correct horse", wish("test"), NOW).await.unwrap_err();
    assert_eq!(refused, AuthError::Refused, "who is not known is told no more");
}

#[tokio::test]
async fn guessing_is_cut_off() {
    let world = world();
    world.anna().await;
    let mut last = AuthError::Refused;
    for _ in 0..=5 {
        last = world.auth.by_password("anna", "incorrect horse", wish("test"), NOW).await.unwrap_err();
    }
    assert_eq!(last, AuthError::TooOften);
    let right = world.auth.by_password("anna", "correct horse", wish("test"), NOW).await.unwrap_err();
    assert_eq!(right, AuthError::TooOften, "a right guess is not told either");
    assert!(world.auth.by_password("anna", "correct horse", wish("test"), NOW + throttle::PAUSE_S).await.is_ok());
}

#[tokio::test]
async fn nobody_logs_in_for_more_than_they_may() {
    let world = world();
    world.anna().await;
    for more in [&["admin"][..], &["blob:write"], &["blob:read", "context:manage"]] {
        let wish = Wish { client: "test", permissions: Some(some(more)) };
        let refused = world.auth.by_password("anna", "correct horse", wish, NOW).await.unwrap_err();
        assert_eq!(refused, AuthError::Exceeds, "{more:?}");
    }
    let less = Wish { client: "test", permissions: Some(some(&["blob:read"])) };
    let tokens = world.auth.by_password("anna", "correct horse", less, NOW).await.unwrap();
    let caller = world.auth.caller(&tokens.access, NOW).unwrap();
    assert_eq!(caller.permissions, some(&["blob:read"]));
    assert_eq!(world.auth.create(&caller, "x", some(&["context:read"]), 60, NOW).unwrap_err(), AuthError::Exceeds);
    assert_eq!(world.auth.code(&caller, "x".into(), some(&["admin"]), NOW).unwrap_err(), AuthError::Exceeds);
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_login() {
    let world = world();
    world.anna().await;
    let first = world.log_in().await;
    let second = world.auth.refresh(&first.refresh, NOW + 10).unwrap();
    let third = world.auth.refresh(&second.refresh, NOW + 20).unwrap();
    assert!(world.auth.caller(&third.access, NOW + 20).is_ok());
    let other = world.log_in().await;
    assert_eq!(world.auth.refresh(&first.refresh, NOW + 30).unwrap_err(), TokenError::Reuse.into());
    for tokens in [&first, &second, &third] {
        assert_eq!(world.auth.caller(&tokens.access, NOW + 30).unwrap_err(), TokenError::Revoked);
    }
    assert_eq!(world.auth.refresh(&third.refresh, NOW + 30).unwrap_err(), TokenError::Revoked.into());
    assert!(world.auth.caller(&other.access, NOW + 30).is_ok(), "other logins go on");
    let again = open(&world.folder);
    assert_eq!(again.caller(&third.access, NOW + 30).unwrap_err(), TokenError::Revoked, "after a restart too");
    assert!(again.refresh(&other.refresh, NOW + 30).is_ok());
}

#[tokio::test]
async fn refresh_tokens_cannot_be_made_up() {
    let world = world();
    world.anna().await;
    let tokens = world.log_in().await;
    let (id, _) = tokens.refresh.split_once('.').unwrap();
    let mac = tokens.refresh.rsplit_once('.').unwrap().1;
    for made_up in [String::new(), "..".into(), format!("{id}.1.{mac}"), format!("{id}.00.{mac}"), format!("{}x", tokens.refresh), tokens.access.clone()] {
        assert_eq!(world.auth.refresh(&made_up, NOW).unwrap_err(), TokenError::Invalid.into(), "{made_up}");
    }
    assert!(world.auth.refresh(&tokens.refresh, NOW).is_ok(), "a guess does not end a login");
    assert_eq!(world.auth.caller(&tokens.refresh, NOW).unwrap_err(), TokenError::Invalid, "nor is it an access token");
}

#[test]
fn a_signed_challenge_logs_in_the_key_that_is_known() {
    let world = world();
    let key = SigningKey::from_seed(&[3; 32]);
    let stranger = SigningKey::from_seed(&[4; 32]);
    world.auth.add_public_key("ci", key.public(), some(&["application:install"]), NOW).unwrap();
    let log_in = |key: &SigningKey, challenge: &str| {
        let signature = key.sign(challenge::DOMAIN, format!("{HOST}\n{challenge}").as_bytes());
        world.auth.by_signature((challenge, HOST), &key.public(), &signature, wish("ci"), NOW)
    };
    let (challenge, _) = world.auth.challenge(NOW).unwrap();
    assert_eq!(log_in(&stranger, &challenge).unwrap_err(), AuthError::Refused);
    let tokens = log_in(&key, &challenge).unwrap();
    assert_eq!(world.auth.caller(&tokens.access, NOW).unwrap().permissions, some(&["application:install"]));
    assert_eq!(log_in(&key, &challenge).unwrap_err(), AuthError::Refused, "a challenge is answered once");
}

#[test]
fn a_code_becomes_one_login() {
    let world = world();
    let (code, _) = world.auth.code(&world.owner(), "page".into(), some(&["blob:read"]), NOW).unwrap();
    let tokens = world.auth.by_code(&code, wish("page"), NOW).unwrap();
    assert_eq!(world.auth.caller(&tokens.access, NOW).unwrap().permissions, some(&["blob:read"]));
    assert_eq!(world.auth.by_code(&code, wish("page"), NOW).unwrap_err(), AuthError::Refused);
}

#[test]
fn a_programs_token_lives_until_it_ends_or_is_revoked() {
    let world = world();
    let (id, _, token) = world.auth.create(&world.owner(), "backup", some(&["blob:read"]), 60, NOW).unwrap();
    assert!(world.auth.caller(&token, NOW + 59).is_ok());
    assert_eq!(world.auth.caller(&token, NOW + 60).unwrap_err(), TokenError::Expired);
    let caller = world.auth.caller(&token, NOW).unwrap();
    let (other, ..) = world.auth.create(&world.owner(), "other", some(&["blob:read"]), 60, NOW).unwrap();
    assert_eq!(world.auth.grants(&caller, NOW).len(), 1, "it sees itself");
    assert_eq!(world.auth.grants(&world.owner(), NOW).len(), 2);
    assert!(matches!(world.auth.revoke(&caller, &other.to_string(), NOW), Err(AuthError::Unknown(_))), "and ends no other");
    assert_eq!(world.auth.revoke(&world.owner(), &id.to_string()[..8], NOW), Ok(id));
    assert_eq!(world.auth.caller(&token, NOW).unwrap_err(), TokenError::Revoked);
}

#[tokio::test]
async fn without_their_key_a_users_logins_and_tokens_end() {
    let world = world();
    world.anna().await;
    let tokens = world.log_in().await;
    let caller = world.auth.caller(&tokens.access, NOW).unwrap();
    let (_, _, token) = world.auth.create(&caller, "hers", some(&["blob:read"]), 60, NOW).unwrap();
    let taken = world.auth.add_password("anna", "another horse", Permissions::admin(), NOW).await.unwrap_err();
    assert_eq!(taken, AuthError::NameTaken("anna".into()));
    world.auth.remove_key("anna", NOW).unwrap();
    for token in [&tokens.access, &token] {
        assert_eq!(world.auth.caller(token, NOW).unwrap_err(), TokenError::Revoked);
    }
    assert_eq!(world.auth.by_password("anna", "correct horse", wish("x"), NOW).await.unwrap_err(), AuthError::Refused);
}

#[tokio::test]
async fn to_have_a_token_is_enough_to_end_its_login() {
    let world = world();
    world.anna().await;
    let by_access = world.log_in().await;
    world.auth.revoke_by(&by_access.access, NOW).unwrap();
    assert_eq!(world.auth.caller(&by_access.access, NOW).unwrap_err(), TokenError::Revoked);
    let by_refresh = world.log_in().await;
    world.auth.revoke_by(&by_refresh.refresh, NOW).unwrap();
    assert_eq!(world.auth.caller(&by_refresh.access, NOW).unwrap_err(), TokenError::Revoked);
    assert_eq!(world.auth.revoke_by("home", NOW).unwrap_err(), TokenError::Invalid.into(), "the home's token is no login");
}

#[test]
fn names_are_bounded_and_printable() {
    let world = world();
    for bad in ["", "a\nb", &"x".repeat(NAME_LEN_MAX + 1)] {
        assert_eq!(world.auth.create(&world.owner(), bad, Permissions::admin(), 60, NOW).unwrap_err(), AuthError::BadName);
    }
}
