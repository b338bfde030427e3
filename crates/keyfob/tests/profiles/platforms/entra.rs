//! The preset for Microsoft Entra.

use keyfob::ErrorKind;
use keyfob_testkit::platforms::{Entra, Fake};

use crate::folder::Folder;
use crate::platforms::clients::assert_one_call_for_each_life;
use crate::platforms::lives::{
    api_of, assert_error, clock, error_of, profile, serve_1000_requests_in_4_lives,
};
use crate::platforms::page::{examples, replaced, section};

pub(super) fn entra(
    fake: &Fake<Entra>,
    number: usize,
    credential: (&str, &str),
) -> (String, keyfob_testkit::Server) {
    let api = api_of(fake.issuer());
    let text = replaced(
        &examples(section("entra"))[number],
        &[
            ("https://graph.microsoft.com/v1.0/", &api.url()),
            ("11111111-2222-4333-8444-555555555555", Entra::TENANT),
            ("99999999-8888-4777-8666-555555555555", Entra::CLIENT_ID),
            credential,
        ],
    );
    let scope = "https://graph.microsoft.com/.default";
    (
        format!(
            "{text}token.endpoint = \"{}\"\ntoken.scopes = \"{scope}\"\n",
            fake.url()
        ),
        api,
    )
}

#[test]
fn entra_serves_1000_requests_with_a_secret() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Entra::start_on(&clock);
    let secret = folder.file("secret", Entra::CLIENT_SECRET);
    let secret = format!("file:{}", secret.display());
    let (text, _api) = entra(&fake, 0, ("file:/run/secrets/entra", &secret));
    serve_1000_requests_in_4_lives(&profile(&text, "graph"), &clock, Entra::TOKEN_LIFETIME);
    assert_one_call_for_each_life(&fake, Entra::TOKEN_PATH);
    let wrong = folder.file("wrong", "wr0ng");
    let wrong = text.replace(&secret, &format!("file:{}", wrong.display()));
    let error = error_of(&profile(&wrong, "graph"), &clock, &["wr0ng"]);
    assert_error(
        &error,
        ErrorKind::Refused,
        &["AADSTS7000215", "`client_secret`"],
    );
    let tenant = text.replace(Entra::TENANT, "00000000-0000-0000-0000-000000000000");
    let error = error_of(&profile(&tenant, "graph"), &clock, &[Entra::CLIENT_SECRET]);
    assert_error(&error, ErrorKind::Refused, &["AADSTS90002", "`tenant`"]);
    let scope = text.replace("/.default", "/User.Read");
    let error = error_of(&profile(&scope, "graph"), &clock, &[]);
    assert_error(&error, ErrorKind::Refused, &["AADSTS1002012", "`scopes`"]);
}

#[test]
fn entra_serves_1000_requests_with_a_certificate() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Entra::start_on(&clock);
    let pair = rcgen::KeyPair::from_pem(&fake.key().private_pem()).expect("it is an RSA key");
    let params = rcgen::CertificateParams::new(["app".to_owned()]).expect("it is a name");
    let certificate = params.self_signed(&pair).expect("the key signs");
    let both = fake.key().private_pem() + &certificate.pem();
    let file = format!("file:{}", folder.file("entra.pem", &both).display());
    let (text, _api) = entra(&fake, 1, ("file:~/keys/entra.pem", &file));
    let unknown = error_of(&profile(&text, "graph-by-certificate"), &clock, &["BEGIN"]);
    assert_error(
        &unknown,
        ErrorKind::Refused,
        &["AADSTS700027", "`certificate`"],
    );
    let before = fake.refusals().len();
    fake.register_certificate(certificate.der());
    serve_1000_requests_in_4_lives(
        &profile(&text, "graph-by-certificate"),
        &clock,
        Entra::TOKEN_LIFETIME,
    );
    assert_eq!(fake.refusals().len(), before);
    fake.clock().set_ahead(600);
    let error = error_of(&profile(&text, "graph-by-certificate"), &clock, &[]);
    assert_error(&error, ErrorKind::Refused, &["AADSTS700024", "clock"]);
}
