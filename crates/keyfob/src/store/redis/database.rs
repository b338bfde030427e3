//! The database of a store: the commands and scripts that run on the server.
//!
//! Each is atomic there. Each may be sent twice, because a reply can be lost.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue, Value, cmd};

use crate::store::error::StoreError;
use crate::store::leased_row::extension;
use crate::store::leased_row::{self, KeepFor, Row, RowSettings, Save, SealedEntry};
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
        self.send(cmd("ZRANGE").arg(self.index()).arg(0).arg(-1))
            .await
    }

    /// The name of the set of all ids, by the time until which each is kept. Without it, listing would have to scan every node of
    /// a cluster.
    fn index(&self) -> String {
        format!("{}:ids", self.prefix)
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
        let connection = &self.database.connection;
        let lease_duration = self.settings().lease_duration;
        let timeout = extension::timeout(lease_duration, connection.timeout);
        understood(connection.run_within(timeout, &command).await?)
    }

    async fn release(&self, lease_id: &str) -> Result<(), StoreError> {
        let mut command = self.script(RELEASE, &["lease"]);
        command.arg(lease_id);
        self.send::<bool>(&command).await.map(drop)
    }

    async fn write(&self, save: Save<'_>) -> Result<bool, StoreError> {
        let keep_for = match save.keep_for {
            KeepFor::Forever => FOREVER.to_owned(),
            KeepFor::Milliseconds(time) => time.to_string(),
            KeepFor::AsBefore => AS_BEFORE.to_owned(),
        };
        let mut command = self.script(SAVE, &["entry", "fence"]);
        command
            .arg(&save.follows)
            .arg(save.revision)
            .arg(save.sealed)
            .arg(&keep_for);
        let Database {
            connection,
            replicas,
            ..
        } = &*self.database;
        let saved = understood(connection.run_replicated(&command, *replicas).await?)?;
        // After the entry: if this process dies between them, the entry is there, and the next save adds its id.
        if saved {
            self.add_to_index(&keep_for).await?;
        }
        Ok(saved)
    }

    async fn remove(&self) -> Result<bool, StoreError> {
        let command = self.script(REMOVE, &["entry", "bad", "fence"]);
        let removed: u64 = self.send(&command).await?;
        let mut command = cmd("ZREM");
        command.arg(self.database.index()).arg(&self.id);
        self.send::<u64>(&command).await?;
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
    async fn add_to_index(&self, keep_for: &str) -> Result<(), StoreError> {
        let mut command = cmd("EVAL");
        command.arg(ADD_TO_INDEX).arg(1).arg(self.database.index());
        command.arg(&self.id).arg(keep_for);
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

// Another program may have changed the hash. The seal shows whether the entry is good. An age of -1 is unknown.
const LOAD: &str = "
local found = redis.call('HMGET', KEYS[1], 'revision', 'sealed', 'saved')
if not found[2] then return false end
local now = redis.call('TIME')
local saved, age = tonumber(found[3] or ''), -1
if saved then age = now[1] * 1000 + math.floor(now[2] / 1000) - saved end
return {found[1] or '', found[2], age}";

// A lease that this process has already taken is taken again, in case the reply to the first command was lost. If nothing is
// saved, the number of leases is kept for a day. Leases have random names, so that they differ if it begins anew.
const LEASE: &str = "
local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local fence = redis.call('INCR', KEYS[2])
if fence == 1 then redis.call('PEXPIRE', KEYS[2], 86400000) end
return fence";

// The number of leases is then kept for a day, as if nothing had been saved.
const REMOVE: &str = "
redis.call('PEXPIRE', KEYS[3], 86400000)
return redis.call('DEL', KEYS[1], KEYS[2])";

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
if ARGV[5] == 'as before' then return 1 end
for _, key in ipairs(KEYS) do
  if ARGV[5] == '0' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ARGV[5]) end
end
return 1";

// Those whose time is over go, so that the set does not grow with entries that are gone.
const ADD_TO_INDEX: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
if ARGV[2] == 'as before' then return redis.call('ZADD', KEYS[1], 'NX', '+inf', ARGV[1]) end
local till = '+inf'
if ARGV[2] ~= '0' then till = string.format('%.0f', now + ARGV[2]) end
return redis.call('ZADD', KEYS[1], till, ARGV[1])";

/// No time to live.
const FOREVER: &str = "0";
/// The time to live that is left.
const AS_BEFORE: &str = "as before";

// Renamed and not removed, because a person may still open it with an older key.
const SET_ASIDE: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
return 1";
