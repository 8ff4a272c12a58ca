// oidc-provider's storage on SQLite: one table per model, prepared statements, WAL and synchronous=FULL.
//
// Owns SQL and when something counts as written; knows nothing of what the payloads mean. Each change is committed by
// itself, or, with group commit, together with all others of one turn of the event loop. Nobody goes on before a
// commit is on the disk.

import Database from 'better-sqlite3';

const MODELS = [
  'AccessToken', 'AuthorizationCode', 'ClientCredentials', 'Grant', 'Interaction', 'RefreshToken', 'ReplayDetection',
  'Session',
];

const now = () => Math.floor(Date.now() / 1000);

const table = (model) => `
  CREATE TABLE IF NOT EXISTS ${model} (
    id TEXT PRIMARY KEY, payload TEXT NOT NULL, grant_id TEXT, uid TEXT, expires_at INTEGER, consumed_at INTEGER
  );
  CREATE INDEX IF NOT EXISTS ${model}_grant ON ${model} (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX IF NOT EXISTS ${model}_uid ON ${model} (uid) WHERE uid IS NOT NULL;`;

/** The file, its tables, and its one writer. */
export class Store {
  #batch;

  constructor(path, { groupCommit = false } = {}) {
    this.write = groupCommit ? this.#writeTogether : this.#writeAlone;
    this.db = new Database(path);
    this.db.pragma('journal_mode = WAL');
    this.db.pragma('synchronous = FULL');
    this.db.exec('CREATE TABLE IF NOT EXISTS Account (id TEXT PRIMARY KEY, claims TEXT NOT NULL) WITHOUT ROWID');
    this.db.exec(MODELS.map(table).join('\n'));
    this.account = this.db.prepare('SELECT claims FROM Account WHERE id = ?').pluck();
    this.begin = this.db.prepare('BEGIN IMMEDIATE');
    this.commit = this.db.prepare('COMMIT');
  }

  async #writeAlone(statement, ...values) {
    statement.run(...values);
  }

  #writeTogether(statement, ...values) {
    this.#batch ??= this.#open();
    statement.run(...values);
    return this.#batch;
  }

  #open() {
    this.begin.run();
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#batch = undefined;
        try {
          this.commit.run();
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}

/** The adapter class that oidc-provider makes one instance of per model. */
export function adapterOn(store) {
  const { db } = store;
  return class {
    constructor(model) {
      this.found = db.prepare(`SELECT payload, consumed_at FROM ${model} WHERE id = ?`);
      this.foundByUid = db.prepare(`SELECT payload, consumed_at FROM ${model} WHERE uid = ?`);
      this.upserted = db.prepare(
        `INSERT INTO ${model} (id, payload, grant_id, uid, expires_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`,
      );
      this.consumed = db.prepare(`UPDATE ${model} SET consumed_at = ? WHERE id = ?`);
      this.destroyed = db.prepare(`DELETE FROM ${model} WHERE id = ?`);
      this.revoked = db.prepare(`DELETE FROM ${model} WHERE grant_id = ?`);
    }

    async find(id) {
      return read(this.found.get(id));
    }

    async findByUid(uid) {
      return read(this.foundByUid.get(uid));
    }

    upsert(id, payload, expiresIn) {
      const expiresAt = expiresIn ? now() + expiresIn : null;
      const { grantId = null, uid = null } = payload;
      return store.write(this.upserted, id, JSON.stringify(payload), grantId, uid, expiresAt);
    }

    consume(id) {
      return store.write(this.consumed, now(), id);
    }

    destroy(id) {
      return store.write(this.destroyed, id);
    }

    revokeByGrantId(grantId) {
      return store.write(this.revoked, grantId);
    }
  };
}

function read(row) {
  if (row === undefined) return undefined;
  const payload = JSON.parse(row.payload);
  return row.consumed_at === null ? payload : { ...payload, consumed: row.consumed_at };
}
