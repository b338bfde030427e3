//! The key with which secrets are encrypted on the bus, between this process and the keyring.
//!
//! The algorithm is `dh-ietf1024-sha256-aes128-cbc-pkcs7` of the Secret Service API of freedesktop.org. It keeps secrets out of records
//! of the bus, such as those of `dbus-monitor`. A process that may send on the bus can ask the keyring itself.

use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{Encoding, U256, U1024, const_monty_params};
use zeroize::Zeroizing;

/// The half of the key agreement (Diffie-Hellman) that is ours.
pub(super) struct KeyPair {
    private: Zeroizing<[u8; EXPONENT]>,
}

impl KeyPair {
    pub(super) fn generate() -> Self {
        let mut private = Zeroizing::new([0; EXPONENT]);
        rand::fill(&mut *private).expect("the system has random numbers");
        Self { private }
    }

    /// What the keyring has to know.
    pub(super) fn public(&self) -> Vec<u8> {
        self.raise(&U1024::from_u8(2)).to_vec()
    }

    /// The key that both have; `None` if the public key of the keyring is none of this group.
    pub(super) fn agree(&self, public: &[u8]) -> Option<SessionKey> {
        let zeros = LENGTH.checked_sub(public.len())?;
        let mut padded = [0; LENGTH];
        padded[zeros..].copy_from_slice(public);
        let public = U1024::from_be_bytes(padded.into());
        // With 0, 1, or the prime less 1, the key would not depend on ours.
        let prime = U1024::from_be_hex(PRIME);
        if public <= U1024::ONE || public >= prime.wrapping_sub(&U1024::ONE) {
            return None;
        }
        let common = self.raise(&public);
        let secret = Salt::new(HKDF_SHA256, &[]).extract(&*common);
        let key = secret.expand(&[], &AES_128).expect("the key is short");
        let mut bytes = Zeroizing::new([0; KEY]);
        key.fill(&mut *bytes)
            .expect("the length is that of the key");
        Some(SessionKey(bytes))
    }

    fn raise(&self, base: &U1024) -> Zeroizing<[u8; LENGTH]> {
        let exponent = U256::from_be_slice(&*self.private);
        let power = ConstMontyForm::<Prime, { U1024::LIMBS }>::new(base).pow(&exponent);
        Zeroizing::new(power.retrieve().to_be_bytes().into())
    }
}

/// A key for the secrets of one session.
pub(super) struct SessionKey(Zeroizing<[u8; KEY]>);

impl SessionKey {
    /// Returns the initialization vector and the encrypted secret.
    pub(super) fn encrypt(&self, secret: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(self.unbound());
        let mut bytes = secret.to_vec();
        let context = key.and_then(|key| key.encrypt(&mut bytes));
        match context.expect("the key has the right length") {
            DecryptionContext::Iv128(vector) => (vector.as_ref().to_vec(), bytes),
            _ => unreachable!("AES-CBC has a vector of 128 bits"),
        }
    }

    /// Returns the secret; `None` if it was not encrypted with this key.
    pub(super) fn decrypt(&self, vector: &[u8], secret: Vec<u8>) -> Option<Zeroizing<Vec<u8>>> {
        let vector = FixedLength::try_from(vector).ok()?;
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(self.unbound()).ok()?;
        let mut secret = Zeroizing::new(secret);
        let opened = key.decrypt(&mut secret, DecryptionContext::Iv128(vector));
        let length = opened.ok()?.len();
        secret.truncate(length);
        Some(secret)
    }

    fn unbound(&self) -> UnboundCipherKey {
        UnboundCipherKey::new(&AES_128, &*self.0).expect("the key has the right length")
    }
}

/// The bytes of a number of the group, of a private key, and of the key of AES-128. The group gives the strength of a key of 80 bits,
/// and a private key needs twice as many (RFC 3526, section 8).
const LENGTH: usize = 128;
const EXPONENT: usize = 32;
const KEY: usize = 16;

/// The second Oakley group (RFC 2409, section 6.2). Its generator is 2.
const PRIME: &str = concat!(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74",
    "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437",
    "4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed",
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff",
);
const_monty_params!(Prime, U1024, PRIME, "The numbers modulo the prime");

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(byte: u8) -> KeyPair {
        KeyPair {
            private: Zeroizing::new([byte; EXPONENT]),
        }
    }

    #[test]
    fn s2_the_session_key_is_that_of_the_specification() {
        // Made with Python: `pow(2, int.from_bytes([7] * 32), prime)`, `hmac` and `hashlib`.
        let public = pair(7).public();
        assert!(public.starts_with(&[0x66, 0xa8, 0xbb, 0x87]));
        assert!(public.ends_with(&[0x43, 0xae, 0x55, 0x00, 0xa8]));
        let key = pair(7).agree(&pair(9).public()).unwrap();
        let expected = 0xc0dd_2b95_a2b2_d798_ac0c_5bce_c60c_63a7_u128;
        assert_eq!(*key.0, expected.to_be_bytes());
    }

    #[test]
    fn s2_a_secret_is_read_only_with_the_key_of_its_session() {
        let (ours, theirs) = (KeyPair::generate(), KeyPair::generate());
        let key = ours.agree(&theirs.public()).unwrap();
        let (vector, bytes) = theirs.agree(&ours.public()).unwrap().encrypt(b"s3cret");
        assert_eq!(bytes.len(), 16);
        let read = key.decrypt(&vector, bytes.clone());
        assert_eq!(read.as_deref(), Some(&b"s3cret".to_vec()));
        let (again, _) = key.encrypt(b"s3cret");
        assert_ne!(vector, again);
        assert!(key.decrypt(&vector[1..], bytes.clone()).is_none());
        assert!(key.decrypt(&vector, bytes[1..].to_vec()).is_none());
        let other = KeyPair::generate().agree(&theirs.public()).unwrap();
        let read = other.decrypt(&vector, bytes);
        assert_ne!(read.as_deref(), Some(&b"s3cret".to_vec()));
    }

    #[test]
    fn s2_a_public_key_that_would_fix_the_session_key_is_refused() {
        let prime = U1024::from_be_hex(PRIME);
        let below = prime.wrapping_sub(&U1024::ONE);
        for public in [U1024::ZERO, U1024::ONE, below, prime] {
            let bytes: [u8; LENGTH] = public.to_be_bytes().into();
            assert!(pair(7).agree(&bytes).is_none());
        }
        assert!(pair(7).agree(&[]).is_none());
        assert!(pair(7).agree(&[2; LENGTH + 1]).is_none());
        // A number may come without its leading zeros.
        let mut long = vec![0; LENGTH];
        long[LENGTH - 1] = 5;
        let key = pair(7).agree(&long).unwrap();
        assert_eq!(*key.0, *pair(7).agree(&[5]).unwrap().0);
    }
}
