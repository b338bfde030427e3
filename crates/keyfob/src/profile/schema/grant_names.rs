//! Names of grants, by what they have in common.

pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(super) const SMART_BACKEND_SERVICES: &str = "smart_backend_services";
pub(super) const CUSTOM: &str = "custom";
pub(super) const REFRESH_TOKEN: &str = "refresh_token";
pub(super) const JWT_BEARER: &str = "jwt_bearer";
pub(super) const TOKEN_EXCHANGE: &str = "token_exchange";
pub(super) const DEVICE_CODE: &str = "device_code";
pub(super) const AUTHORIZATION_CODE: &str = "authorization_code";

/// The word of `source` for a JWT that is signed here.
pub(super) const SIGNED_JWT: &str = "signed_jwt";

/// The word of `source` for an HTTP request.
pub(super) const HTTP: &str = "http";

pub(super) const ALL: &[&str] = &join::<8>(&[WITHOUT_SIGN_IN, SIGN_INS]);

/// What sends requests to a server.
pub(super) const ALL_AND_HTTP: &[&str] = &join::<9>(&[ALL, &[HTTP]]);

/// What signs with a private key.
pub(super) const WITH_KEY: &[&str] = &join::<9>(&[ALL, &[SIGNED_JWT]]);

/// SMART prescribes the server, the authentication and the parameters.
pub(super) const ALL_BUT_SMART: &[&str] =
    &join::<7>(&[&[CLIENT_CREDENTIALS], WITH_MORE_KEYS, SIGN_INS]);

/// A person signs in to the others.
pub(super) const WITHOUT_SIGN_IN: &[&str] = &join::<6>(&[
    &[CLIENT_CREDENTIALS, SMART_BACKEND_SERVICES],
    WITH_MORE_KEYS,
]);

pub(super) const SIGN_INS: &[&str] = &[DEVICE_CODE, AUTHORIZATION_CODE];

/// The grants without a sign-in that have keys of their own.
const WITH_MORE_KEYS: &[&str] = &[CUSTOM, REFRESH_TOKEN, JWT_BEARER, TOKEN_EXCHANGE];

/// All names of these lists, of which there are `N`.
const fn join<const N: usize>(lists: &[&[&'static str]]) -> [&'static str; N] {
    let mut all = [""; N];
    let (mut list, mut at) = (0, 0);
    while list < lists.len() {
        let mut name = 0;
        while name < lists[list].len() {
            all[at] = lists[list][name];
            at += 1;
            name += 1;
        }
        list += 1;
    }
    assert!(at == N, "`N` is the number of the names");
    all
}
