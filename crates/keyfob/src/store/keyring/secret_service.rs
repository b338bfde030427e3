//! The keyring of desktops with D-Bus: the Secret Service API of freedesktop.org. Everything here blocks its thread.

use std::collections::HashMap;

mod session_key;

use serde::Serialize;
use zbus::blocking::Connection;
use zbus::blocking::Proxy;
use zbus::zvariant::{
    DynamicDeserialize, DynamicType, ObjectPath, OwnedObjectPath, OwnedValue, Value,
};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::store::keyring::secret_service::session_key::{KeyPair, SessionKey};

/// A connection to the keyring: secrets by service and user.
pub(crate) struct SystemKeyring {
    bus: Connection,
    session: OwnedObjectPath,
    key: SessionKey,
}

impl SystemKeyring {
    pub(crate) fn open() -> Result<Self, Error> {
        let bus = Connection::session().map_err(Fault::Bus)?;
        let ours = KeyPair::generate();
        let request = (ALGORITHM, Value::from(ours.public()));
        let (theirs, session): (OwnedValue, _) =
            call(&bus, SERVICE_PATH, "Service.OpenSession", &request)?;
        let theirs = Vec::<u8>::try_from(theirs).map_err(|_| Fault::NoKey)?;
        Ok(Self {
            bus,
            session,
            key: ours.agree(&theirs).ok_or(Fault::NoKey)?,
        })
    }

    /// Reads the secret of this entry; `None` if there is no such entry.
    pub(crate) fn read(
        &self,
        service: &str,
        user: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some(item) = self.find(service, user)? else {
            return Ok(None);
        };
        let (_, vector, secret, _): Secret = self.call(&item, "Item.GetSecret", &self.session)?;
        let secret = self.key.decrypt(&vector, secret);
        Ok(Some(secret.ok_or(Fault::Damaged)?))
    }

    pub(crate) fn write(&self, service: &str, user: &str, secret: &[u8]) -> Result<(), Error> {
        let (vector, bytes) = self.key.encrypt(secret);
        let content = "application/octet-stream".to_owned();
        let secret: Secret = (self.session.clone(), vector, bytes, content);
        if let Some(item) = self.find(service, user)? {
            self.call::<_, ()>(&item, "Item.SetSecret", &(secret,))?;
            return Ok(());
        }
        let collection: OwnedObjectPath =
            self.call(SERVICE_PATH, "Service.ReadAlias", &"default")?;
        self.unlock(std::slice::from_ref(&collection))?;
        let label = format!("keyring:{user}@{service}");
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Value::from(label)),
            (
                "org.freedesktop.Secret.Item.Attributes",
                Value::from(attributes(service, user)),
            ),
        ]);
        let request = (properties, secret, true);
        let (_, prompt): (OwnedObjectPath, OwnedObjectPath) =
            self.call(&collection, "Collection.CreateItem", &request)?;
        Ok(self.ask(&prompt)?)
    }

    /// Removes the entry. Returns whether there was one.
    pub(crate) fn remove(&self, service: &str, user: &str) -> Result<bool, Error> {
        let Some(item) = self.find(service, user)? else {
            return Ok(false);
        };
        let prompt: OwnedObjectPath = self.call(&item, "Item.Delete", &())?;
        self.ask(&prompt)?;
        Ok(true)
    }

    /// The item of an entry, unlocked.
    fn find(&self, service: &str, user: &str) -> Result<Option<OwnedObjectPath>, Fault> {
        let wanted = attributes(service, user);
        let (mut items, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            self.call(SERVICE_PATH, "Service.SearchItems", &wanted)?;
        if !locked.is_empty() {
            self.unlock(&locked)?;
            items.extend(locked);
        }
        match items.len() {
            0 | 1 => Ok(items.pop()),
            _ => Err(Fault::Several),
        }
    }

    fn unlock(&self, paths: &[OwnedObjectPath]) -> Result<(), Fault> {
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            self.call(SERVICE_PATH, "Service.Unlock", &paths)?;
        self.ask(&prompt)
    }

    /// Has the keyring ask the user, and waits for that. The path `/` means that there is nothing to ask.
    fn ask(&self, prompt: &ObjectPath<'_>) -> Result<(), Fault> {
        if prompt.as_str() == "/" {
            return Ok(());
        }
        let interface = format!("{INTERFACES}.Prompt");
        let proxy = Proxy::new(&self.bus, DESTINATION, prompt, interface)?;
        let mut completed = proxy.receive_signal("Completed")?;
        self.call::<_, ()>(prompt, "Prompt.Prompt", &"")?;
        let completed = completed.next().ok_or(Fault::Dismissed)?;
        let (is_dismissed, _): (bool, OwnedValue) = completed.body().deserialize()?;
        match is_dismissed {
            true => Err(Fault::Dismissed),
            false => Ok(()),
        }
    }

    fn call<B, R>(&self, path: &str, method: &str, body: &B) -> Result<R, Fault>
    where
        B: Serialize + DynamicType,
        R: for<'a> DynamicDeserialize<'a>,
    {
        call(&self.bus, path, method, body)
    }
}

/// Calls a method, such as `Item.Delete`.
fn call<B, R>(bus: &Connection, path: &str, method: &str, body: &B) -> Result<R, Fault>
where
    B: Serialize + DynamicType,
    R: for<'a> DynamicDeserialize<'a>,
{
    let (interface, method) = method.split_once('.').expect("a method has an interface");
    let interface = format!("{INTERFACES}.{interface}");
    let response = bus.call_method(Some(DESTINATION), path, Some(interface), method, body)?;
    Ok(response.body().deserialize()?)
}

/// The attributes by which an entry is found. Other programs use these as well.
fn attributes<'a>(service: &'a str, user: &'a str) -> HashMap<&'a str, &'a str> {
    HashMap::from([("service", service), ("username", user)])
}

/// A secret on the bus: the session, the initialization vector, the encrypted bytes and their media type.
type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// Why the keyring cannot be used. No variant holds a secret.
enum Fault {
    Bus(zbus::Error),
    NoKey,
    Damaged,
    Several,
    Dismissed,
}

impl From<zbus::Error> for Fault {
    fn from(error: zbus::Error) -> Self {
        Self::Bus(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let unusable = Self::unavailable(
            "the keyring cannot be used; on Linux it needs a D-Bus session with a Secret Service, such as gnome-keyring",
        );
        match fault {
            Fault::Bus(zbus::Error::MethodError(name, ..)) if name.as_str() == IS_LOCKED => {
                Fault::Dismissed.into()
            }
            Fault::Bus(cause) => unusable.caused_by(cause),
            Fault::NoKey => unusable.caused_by("it agrees on no key for secrets on the bus"),
            Fault::Damaged => Self::unavailable("the keyring failed, or the entry is damaged"),
            Fault::Several => {
                Self::unavailable("the keyring has several entries of this service and user")
            }
            Fault::Dismissed => Self::unavailable("the keyring is locked, or may not be read"),
        }
    }
}

const DESTINATION: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const INTERFACES: &str = "org.freedesktop.Secret";
const IS_LOCKED: &str = "org.freedesktop.Secret.Error.IsLocked";
const ALGORITHM: &str = "dh-ietf1024-sha256-aes128-cbc-pkcs7";
