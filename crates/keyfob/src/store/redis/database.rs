//! The database of a store: the commands and scripts that run on the server.
//!
//! Each is atomic there. Each may be sent twice, because a reply can be lost.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue, Value, cmd};

use crate::store::error::StoreError;
use crate::store::leased_row::{self, Row, RowSettings, SealedEntry};
use crate::store::redis::connection::Connection;

/// The database and its settings. All clones and leases of a store share it.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) prefix: String,
    pub(super) rows: RowSettings,
    /// How many replicas must have an entry before its save ends.
    pub(super) replicas: u32,
}

/// The place of one entry in the database.
#[derive(Clone)]
pub(super) struct RedisRow {
    pub(super) database: Arc<Database>,
    pub(super) id: String,
}

impl Database {
    pub(super) fn row(self: &Arc<Self>, id: &str) -> RedisRow {
        RedisRow {
            database: Arc::clone(self),
            id: id.to_owned(),
        }
    }

    /// The ids of all entries that were saved. Some entries may be gone.
    pub(super) async fn ids(&self) -> Result<Vec<String>, StoreError> {
        self.send(cmd("SMEMBERS").arg(self.index())).await
    }

    /// The name of the set of all ids. Without it, listing would have to scan every node of a cluster.
    fn index(&self) -> String {
        format!("{}:index", self.prefix)
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        understood(self.connection.run(command).await?)
    }
}

/// A reply as a value. It is kept out of the error, because it may be an entry.
fn understood<T: FromRedisValue>(reply: Value) -> Result<T, StoreError> {
    T::from_redis_value(reply).map_err(|_| {
        StoreError::unusable("the shared token store sent a reply that is not understood")
    })
}

impl Row for RedisRow {
    fn id(&self) -> &str {
        &self.id
    }

    fn settings(&self) -> &RowSettings {
        &self.database.rows
    }

    async fn read(&self) -> Result<Option<SealedEntry>, StoreError> {
        let found = self.send(&self.script(LOAD, &["entry"])).await?;
        let found: Option<(String, Vec<u8>, i64)> = found;
        Ok(found.map(|(revision, sealed, age)| SealedEntry {
            revision,
            sealed,
            age: leased_row::age(age),
        }))
    }

    async fn lease(&self, lease_id: &str) -> Result<Option<u64>, StoreError> {
        let mut command = self.script(LEASE, &["lease", "fence"]);
        command
            .arg(lease_id)
            .arg(self.settings().lease_milliseconds());
        let fence: u64 = self.send(&command).await?;
        Ok((fence != 0).then_some(fence))
    }

    async fn extend(&self, lease_id: &str) -> Result<bool, StoreError> {
        let mut command = self.script(EXTEND, &["lease"]);
        command
            .arg(lease_id)
            .arg(self.settings().lease_milliseconds());
        self.send(&command).await
    }

    async fn release(&self, lease_id: &str) -> Result<(), StoreError> {
        let mut command = self.script(RELEASE, &["lease"]);
        command.arg(lease_id);
        self.send::<bool>(&command).await.map(drop)
    }

    async fn write(
        &self,
        follows: [&str; 2],
        revision: &str,
        sealed: &[u8],
    ) -> Result<bool, StoreError> {
        let mut command = self.script(SAVE, &["entry"]);
        command.arg(&follows).arg(revision).arg(sealed);
        let Database {
            connection,
            replicas,
            ..
        } = &*self.database;
        let saved = understood(connection.run_replicated(&command, *replicas).await?)?;
        // After the entry: if this process dies between them, the entry is there, and the next save adds its id.
        if saved {
            self.update_index("SADD").await?;
        }
        Ok(saved)
    }

    async fn remove(&self) -> Result<bool, StoreError> {
        let mut command = cmd("DEL");
        command.arg(self.name("entry")).arg(self.name("bad"));
        let removed: u64 = self.send(&command).await?;
        self.update_index("SREM").await?;
        Ok(removed != 0)
    }

    async fn quarantine(&self) -> Result<(), StoreError> {
        let command = self.script(SET_ASIDE, &["entry", "bad"]);
        self.send::<bool>(&command).await.map(drop)
    }
}

impl RedisRow {
    /// Whether a damaged entry was moved out of the way.
    pub(super) async fn has_quarantined(&self) -> Result<bool, StoreError> {
        self.send(cmd("EXISTS").arg(self.name("bad"))).await
    }

    /// Not in the script of a save: in a cluster, a script may only use the keys of one node.
    async fn update_index(&self, change: &str) -> Result<(), StoreError> {
        let mut command = cmd(change);
        command.arg(self.database.index()).arg(&self.id);
        self.send::<u64>(&command).await.map(drop)
    }

    fn script(&self, text: &str, names: &[&str]) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(text).arg(names.len());
        for name in names {
            command.arg(self.name(name));
        }
        command
    }

    /// The name of a Redis key of this entry. The part in braces puts them all on the same node of a cluster.
    fn name(&self, what: &str) -> String {
        format!("{}:{{{}}}:{what}", self.database.prefix, self.id)
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.database.send(command).await
    }
}

const LOAD: &str = "
local found = redis.call('HMGET', KEYS[1], 'revision', 'sealed', 'saved')
if not found[2] then return false end
local now = redis.call('TIME')
local age = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(found[3])
return {found[1], found[2], age}";

// A lease that this process has already taken is taken again, in case the reply to the first command was lost.
const LEASE: &str = "
local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('INCR', KEYS[2])";

// The lease may have expired and belong to another process. Only its own process may extend or end it.
const EXTEND: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

const RELEASE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

// The first check makes a repeated save succeed, if the reply to it was lost.
const SAVE: &str = "
local now = redis.call('HGET', KEYS[1], 'revision')
if now == ARGV[3] then return 1 end
if now and now ~= ARGV[1] and now ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
local saved = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'revision', ARGV[3], 'sealed', ARGV[4], 'saved', string.format('%.0f', saved))
return 1";

// Renamed and not removed, because a person may still open it with an older key.
const SET_ASIDE: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
return 1";
