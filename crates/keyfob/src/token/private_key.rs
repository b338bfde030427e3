//! Private keys in PEM form (RFC 7468), also as they come out of variables and JSON files, and encrypted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A private key in DER form.
pub(crate) struct DerKey {
    pub(crate) form: Form,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The structure of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An RSA key (RFC 8017 §A.1.2).
    Pkcs1,
    /// A key of any kind (RFC 5958).
    Pkcs8,
    /// An EC key (RFC 5915).
    Sec1,
}

/// Reads the first private key of a text, and decrypts it if needed.
///
/// The error is what is wrong, in words that follow the name of the key.
pub(crate) fn read(text: &[u8], passphrase: Option<&str>) -> Result<DerKey, &'static str> {
    let text = str::from_utf8(text)
        .map_err(|_| "is not text; convert it to PEM with `openssl pkey -inform DER`")?;
    // Variables and JSON files often hold a PEM on one line, with `\n` in place of line ends.
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
    let Some((label, body)) = sections(&text).find(|(label, _)| label.ends_with(PRIVATE)) else {
        return Err(no_private_key(&text));
    };
    let form = match label {
        "PRIVATE KEY" | ENCRYPTED => Form::Pkcs8,
        "RSA PRIVATE KEY" => Form::Pkcs1,
        "EC PRIVATE KEY" => Form::Sec1,
        "OPENSSH PRIVATE KEY" => {
            return Err("is in the format of OpenSSH; convert it with `ssh-keygen -p -m PKCS8`");
        }
        _ => {
            return Err("is of a kind that cannot sign here; give RSA, EC or Ed25519");
        }
    };
    if body.contains("Proc-Type:") {
        return Err(
            "is encrypted in OpenSSL's old format; convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`",
        );
    }
    // Lines may be indented or joined by spaces.
    let joined: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let der = STANDARD.decode(joined.as_bytes());
    let der = der
        .map(Zeroizing::new)
        .map_err(|_| "is a PEM whose content is not base64; it may be cut or changed")?;
    let der = if label == ENCRYPTED {
        decrypt(&der, passphrase)?
    } else {
        der
    };
    // Some programs write another label than that of the form.
    let form = form_of(&der).unwrap_or(form);
    Ok(DerKey { form, der })
}

/// The form of a private key: what follows the version is the kind of a key, a number of RSA, or the secret of a curve.
fn form_of(der: &[u8]) -> Option<Form> {
    let [SEQUENCE, length, rest @ ..] = der else {
        return None;
    };
    // A length above 127 is in the bytes after this one (X.690 §8.1.3.5).
    let more = if *length > 0x80 { length & 0x7f } else { 0 };
    let [INTEGER, 1, _version, tag, ..] = rest.get(more.into()..)? else {
        return None;
    };
    match *tag {
        SEQUENCE => Some(Form::Pkcs8),
        INTEGER => Some(Form::Pkcs1),
        OCTET_STRING => Some(Form::Sec1),
        _ => None,
    }
}

/// The first certificate of a text, in DER form.
pub(crate) fn first_certificate(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok()?;
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
    let (_, body) = sections(&text).find(|(label, _)| *label == "CERTIFICATE")?;
    let joined: String = body.split_whitespace().collect();
    STANDARD.decode(joined).ok()
}

/// The sections of a PEM: each label, with the text between its begin and its end.
fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(BEGIN).skip(1).filter_map(|section| {
        let (label, rest) = section.split_once("-----")?;
        let (body, _) = rest.split_once(END)?;
        Some((label, body))
    })
}

fn no_private_key(text: &str) -> &'static str {
    let has = |label: &str| sections(text).any(|(found, _)| found.ends_with(label));
    if has("PUBLIC KEY") {
        "is a public key; give the private key that belongs to it"
    } else if has("CERTIFICATE") {
        "is a certificate; give the private key that belongs to it"
    } else if text.contains(BEGIN) {
        "is a PEM that is cut, or that has no private key"
    } else {
        "is not in PEM form: it has no `-----BEGIN PRIVATE KEY-----`"
    }
}

#[cfg(feature = "oauth")]
fn decrypt(der: &[u8], passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let Some(passphrase) = passphrase else {
        return Err(
            "is encrypted; give its passphrase, in a profile with `private_key_passphrase`, `dpop_key_passphrase` or `key_passphrase`",
        );
    };
    let info = pkcs8::EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| {
        "is encrypted in a way that is not known; encrypt it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
    })?;
    // The causes are left out: each is about the encryption, which a person cannot see.
    let decrypted = info.decrypt(passphrase).map_err(
        |_| "cannot be decrypted: the passphrase is wrong, or the cipher is none of PBES2 with AES",
    )?;
    Ok(Zeroizing::new(decrypted.as_bytes().to_vec()))
}

#[cfg(not(feature = "oauth"))]
fn decrypt(_: &[u8], _: Option<&str>) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    Err(
        "is encrypted, which this build cannot read; decrypt it, or build keyfob with the feature `oauth`",
    )
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const PRIVATE: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

// Tags of DER (X.690 §8).
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
