// What the provider knows: in memory, and for demonstrations in a file, so that it survives a restart as a real one does.

import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/// A class of adapters for `oidc-provider`, and what was `kept` under other names. Without a path, nothing is written.
export function memory(path) {
  const entries = new Map(read(path));
  const save = () => {
    if (!path) return;
    // The file has signing keys and refresh tokens. It is complete at any time, also if this process is killed.
    writeFileSync(`${path}.new`, JSON.stringify([...entries]), { mode: 0o600 });
    chmodSync(`${path}.new`, 0o600);
    renameSync(`${path}.new`, path);
  };
  const find = (key) => {
    const entry = entries.get(key);
    if (entry && entry.until < Date.now()) entries.delete(key);
    return entries.get(key)?.value;
  };
  const findBy = (model, field, wanted) => {
    const keys = [...entries.keys()].filter((key) => key.startsWith(`${model}:`));
    return keys.map(find).find((value) => value?.[field] === wanted);
  };

  class Adapter {
    constructor(model) {
      this.model = model;
    }

    async upsert(id, value, seconds) {
      const until = seconds ? Date.now() + seconds * 1000 : undefined;
      entries.set(`${this.model}:${id}`, { value, until });
      save();
    }

    async find(id) {
      return find(`${this.model}:${id}`);
    }

    async findByUserCode(userCode) {
      return findBy(this.model, 'userCode', userCode);
    }

    async findByUid(uid) {
      return findBy(this.model, 'uid', uid);
    }

    async consume(id) {
      const value = find(`${this.model}:${id}`);
      if (value) value.consumed = Math.floor(Date.now() / 1000);
      save();
    }

    async destroy(id) {
      entries.delete(`${this.model}:${id}`);
      save();
    }

    async revokeByGrantId(grantId) {
      for (const [key, { value }] of entries) if (value?.grantId === grantId) entries.delete(key);
      save();
    }
  }

  const kept = (name, make) => {
    const key = `kept:${name}`;
    if (!entries.has(key)) entries.set(key, { value: make() });
    save();
    return entries.get(key).value;
  };
  return { Adapter, kept };
}

function read(path) {
  try {
    return path ? JSON.parse(readFileSync(path, 'utf8')) : [];
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}
