//! Registrations that outlive a process, each under the issuer that it belongs to.

use crate::error::error::Error;
use crate::oauth::authorization_code::redirect_uri::RedirectUri;
use crate::oauth::registration::Registration;
use crate::oauth::response_body::{Body, read_body};
use crate::store::file::FileStore;
use crate::store::key::StoreKey;
use crate::token::json::{Json, Object};

impl Registration {
    /// The registration at this issuer that was [saved](Self::save) in the directory of this store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the directory cannot be read, or is open to other users: they
    /// could exchange the client for one of their own. Also if a newer version of keyfob saved the registration.
    pub async fn load(store: &FileStore, issuer: &str) -> Result<Option<Self>, Error> {
        let found = store.read_note(id(issuer)).await;
        match found.map_err(Error::from)? {
            Some(note) => read(&note, issuer),
            None => Ok(None),
        }
    }

    /// Saves the registration in the directory of a store, for the next sign-in at its issuer. It replaces an earlier one.
    ///
    /// ```
    /// use keyfob::oauth::Registration;
    /// use keyfob::store::FileStore;
    ///
    /// # async fn example() -> Result<(), keyfob::Error> {
    /// let registration = Registration::new("https://login.example.com", "c1ient", "http://127.0.0.1:8400/callback");
    /// let store = FileStore::new(FileStore::default_directory()?);
    /// registration.save(&store).await?;
    /// assert_eq!(Registration::load(&store, registration.issuer()).await?, Some(registration));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the directory cannot be written, or if a newer version of
    /// keyfob saved a registration at this issuer.
    pub async fn save(&self, store: &FileStore) -> Result<(), Error> {
        // The client of a newer version must not be lost.
        Self::load(store, self.issuer()).await?;
        let note = serde_json::json!({
            "version": VERSION,
            "issuer": self.issuer(),
            "client_id": self.client_id(),
            "redirect_uri": self.redirect_uri(),
        });
        let saved = store.write_note(id(self.issuer()), Some(note.to_string()));
        saved.await.map_err(Error::from)
    }

    /// Removes the registration at this issuer from the directory of a store. The server keeps the client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the directory cannot be written.
    pub async fn forget(store: &FileStore, issuer: &str) -> Result<(), Error> {
        let removed = store.write_note(id(issuer), None);
        removed.await.map_err(Error::from)
    }
}

/// A note of this issuer. One that cannot be read is like none: the client registers again.
fn read(note: &[u8], issuer: &str) -> Result<Option<Registration>, Error> {
    let Body::Members(note) = read_body(note) else {
        return Ok(None);
    };
    match note.get("version") {
        Some(Json::Integer(version)) if *version > i128::from(VERSION) => Err(Error::unavailable(
            "the registration of the client was saved by a newer version of keyfob; upgrade this one",
        )),
        _ => Ok(registration(&note, issuer)),
    }
}

fn registration(note: &Object, issuer: &str) -> Option<Registration> {
    let redirect_uri = note.text("redirect_uri")?;
    RedirectUri::parse(redirect_uri).ok()?;
    let client_id = note.text("client_id").filter(|id| !id.is_empty())?;
    // A client of one server must not be presented to another one.
    (note.text("issuer")? == issuer).then(|| Registration::new(issuer, client_id, redirect_uri))
}

/// A file name that no server can choose.
fn id(issuer: &str) -> String {
    let key = StoreKey::builder(issuer).grant("registration");
    key.build().id().to_owned()
}

/// Increased when older versions can no longer read what is written.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_registration_is_kept_for_its_issuer_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("keyfob"));
        let (ours, other) = ("https://login.example.com", "https://login.example.com/");
        assert_eq!(Registration::load(&store, ours).await.unwrap(), None);
        let first = Registration::new(ours, "first", "http://127.0.0.1:1/callback");
        let second = Registration::new(ours, "second", "http://127.0.0.1:2/callback");
        first.save(&store).await.unwrap();
        second.save(&store).await.unwrap();
        let found = Registration::load(&store, ours).await.unwrap();
        assert_eq!(found.as_ref(), Some(&second));
        assert_eq!(Registration::load(&store, other).await.unwrap(), None);
        Registration::forget(&store, ours).await.unwrap();
        Registration::forget(&store, ours).await.unwrap();
        assert_eq!(Registration::load(&store, ours).await.unwrap(), None);
    }

    #[test]
    fn a_note_that_was_changed_is_like_none() {
        let issuer = "https://login.example.com";
        let note = |issuer: &str, uri: &str| {
            format!(r#"{{"issuer":"{issuer}","client_id":"a","redirect_uri":"{uri}"}}"#)
        };
        let uri = "http://127.0.0.1:1/callback";
        assert!(matches!(
            read(note(issuer, uri).as_bytes(), issuer),
            Ok(Some(_))
        ));
        for text in [
            note("https://evil.example", uri),
            note(issuer, "https://evil.example/callback"),
            note(issuer, uri).replace(r#""a""#, r#""""#),
            note(issuer, uri).replace(r#""a""#, "7"),
            note(issuer, uri)[..20].to_owned(),
            String::new(),
        ] {
            assert!(matches!(read(text.as_bytes(), issuer), Ok(None)), "{text}");
        }
    }
}
