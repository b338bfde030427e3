//! Metadata of authorization servers in the directory of a profile's store, so that not each run has to fetch them.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::oauth::client_builder::ClientBuilder;
use crate::oauth::metadata_store::NoteStore;
use crate::profile::schema::store::{PersistentStore, StoreSettings};
use crate::store::file::FileStore;
use crate::store::key::StoreKey;

/// Files beside those of the tokens, under the same rules: they decide where secrets are sent.
pub(super) struct MetadataFiles(FileStore);

impl MetadataFiles {
    /// The files of a profile; `None` if the profile keeps nothing on a disk, or there is no directory.
    pub(super) fn of(settings: &StoreSettings) -> Option<Self> {
        let directory = match settings.place.as_ref()? {
            PersistentStore::Files(files) => files.directory(),
            // Other stores have no directory of their own.
            PersistentStore::Keyring | PersistentStore::Redis(_) | PersistentStore::Postgres(_) => {
                FileStore::default_directory()
            }
        };
        directory.ok().map(|path| Self(FileStore::new(path)))
    }

    pub(super) fn used_by(client: ClientBuilder, files: Self) -> ClientBuilder {
        client.metadata_store(Arc::new(files))
    }
}

impl NoteStore for MetadataFiles {
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let found = self.0.read_note(id(name)).await;
            found.ok().flatten().map(|bytes| bytes.to_vec())
        })
    }

    fn save<'a>(&'a self, name: &'a str, text: Option<String>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Err(fault) = self.0.write_note(id(name), text).await {
                let error = fault.error();
                tracing::debug!(target: "keyfob", %error, "cannot store the authorization server's metadata");
            }
        })
    }
}

/// A file name that no server can choose.
fn id(name: &str) -> String {
    StoreKey::builder(name)
        .grant("metadata")
        .build()
        .id()
        .to_owned()
}
