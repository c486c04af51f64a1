// The drivers from npm: `DATABASE_URL=… node drivers.mjs DRIVER [SCRIPT …]`. The scripts and the marks between their
// steps are those of stage.py: a line for each step, and a line on standard input to go on.

import fs from 'node:fs';
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import pg from 'pg';
import postgres from 'postgres';
import { drizzle } from 'drizzle-orm/node-postgres';
import { between, eq, min } from 'drizzle-orm';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';

const TABLE = 'driver_things';
const READ = `select word from ${TABLE} where id = $1`;
const WRITE = `update ${TABLE} set seen = $1 where id = $2`;
const MANY = `update ${TABLE} set seen = $1 where id = any($2)`;
const SEEN = `select min(seen) as least from ${TABLE} where id between $1 and $2`;
const BATCH_ROWS = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
const PLAIN = ['cold', 'again', 'transaction', 'ten', 'batch'];

const url = new URL(process.env.DATABASE_URL);
const secured = url.searchParams.get('sslmode') === 'require';
url.search = '';
// Neither takes libpq's `require` for what it is, so they are told in their own words.
const ssl = secured ? { rejectUnauthorized: false } : false;

class NodePostgres {
  scripts = PLAIN;
  options = {};

  async connect() {
    this.client = new pg.Client({ connectionString: url.href, ssl, ...this.options });
    await this.client.connect();
  }

  async word(number) {
    return (await this.client.query(READ, [number])).rows[0].word;
  }

  async seen(first, last) {
    return (await this.client.query(SEEN, [first, last])).rows[0].least;
  }

  async transaction(number, value) {
    await this.client.query('BEGIN');
    const word = await this.word(number);
    await this.client.query(WRITE, [value, number]);
    await this.client.query('COMMIT');
    return word;
  }

  async batch(numbers, value) {
    await this.client.query(MANY, [value, numbers]);
  }

  async release() {}

  async close() {
    await this.client.end();
  }
}

class NodePostgresPipeline extends NodePostgres {
  options = { pipeline: true };

  async batch(numbers, value) {
    await Promise.all(numbers.map((number) => this.client.query(WRITE, [value, number])));
  }
}

class NodePostgresNamed extends NodePostgres {
  scripts = ['cold', 'again', 'ten'];

  async word(number) {
    return (await this.client.query({ name: 'read', text: READ, values: [number] })).rows[0].word;
  }
}

class NodePostgresPool extends NodePostgres {
  async connect() {
    this.pool = new pg.Pool({ connectionString: url.href, ssl });
    this.client = await this.pool.connect();
  }

  async release() {
    this.client?.release();
    this.client = null;
  }

  async seen(first, last) {
    return (await this.pool.query(SEEN, [first, last])).rows[0].least;
  }

  async close() {
    await this.release();
    await this.pool.end();
  }
}

class PostgresJs {
  scripts = PLAIN;
  options = {};

  async connect() {
    this.sql = postgres(url.href, { ssl: secured ? 'require' : false, max: 1, ...this.options });
    // It connects with the first query; a reserved connection is the way to connect before.
    this.reserved = await this.sql.reserve();
    this.reserved.release();
  }

  async word(number) {
    return (await this.sql`select word from driver_things where id = ${number}`)[0].word;
  }

  async seen(first, last) {
    return (await this.sql`select min(seen) as least from driver_things where id between ${first} and ${last}`)[0].least;
  }

  async transaction(number, value) {
    return this.sql.begin(async (sql) => {
      const [row] = await sql`select word from driver_things where id = ${number}`;
      await sql`update driver_things set seen = ${value} where id = ${number}`;
      return row.word;
    });
  }

  async batch(numbers, value) {
    await this.sql.begin((sql) =>
      numbers.map((number) => sql`update driver_things set seen = ${value} where id = ${number}`),
    );
  }

  async release() {}

  async close() {
    await this.sql.end();
  }
}

class PostgresJsUnprepared extends PostgresJs {
  options = { prepare: false };
}

const things = pgTable(TABLE, {
  id: integer('id').primaryKey(),
  word: text('word').notNull(),
  seen: integer('seen').notNull(),
});

class Drizzle {
  scripts = [...PLAIN, 'orm'];

  async connect() {
    this.pool = new pg.Pool({ connectionString: url.href, ssl });
    this.db = drizzle(this.pool);
    (await this.pool.connect()).release();
  }

  async word(number, db = this.db) {
    return (await db.select({ word: things.word }).from(things).where(eq(things.id, number)))[0].word;
  }

  async seen(first, last) {
    return (await this.db.select({ least: min(things.seen) }).from(things).where(between(things.id, first, last)))[0].least;
  }

  async transaction(number, value) {
    return this.db.transaction(async (db) => {
      const word = await this.word(number, db);
      await db.update(things).set({ seen: value }).where(eq(things.id, number));
      return word;
    });
  }

  async batch(numbers, value) {
    await this.db
      .insert(things)
      .values(numbers.map((id) => ({ id, word: `word ${id}`, seen: value })))
      .onConflictDoUpdate({ target: things.id, set: { seen: value } });
  }

  async orm(number, value) {
    return this.db.transaction(async (db) => {
      const [thing] = await db.select().from(things).where(eq(things.id, number));
      thing.seen = value;
      await db.update(things).set(thing).where(eq(things.id, number));
      return thing.word;
    });
  }

  async release() {}

  async close() {
    await this.pool.end();
  }
}

const drivers = {
  'node-postgres': NodePostgres,
  'node-postgres-named': NodePostgresNamed,
  'node-postgres-pipeline': NodePostgresPipeline,
  'node-postgres-pool': NodePostgresPool,
  'postgres.js': PostgresJs,
  'postgres.js-unprepared': PostgresJsUnprepared,
  drizzle: Drizzle,
};

const answer = Buffer.alloc(1);

const mark = (script, step) => {
  fs.writeSync(1, `${script} ${step}\n`);
  // One byte at a time, for what follows answers the next mark.
  while (fs.readSync(0, answer) === 1 && answer[0] !== 10);
};

const steps = {
  async cold(driver) {
    assert.equal(await driver.word(7), 'word 7');
  },
  async again(driver) {
    assert.equal(await driver.word(7), 'word 7');
  },
  async transaction(driver, value) {
    assert.equal(await driver.transaction(1, value), 'word 1');
    return [1, 1];
  },
  async ten(driver) {
    for (const number of BATCH_ROWS) assert.equal(await driver.word(number), `word ${number}`);
  },
  async batch(driver, value) {
    await driver.batch(BATCH_ROWS, value);
    return [BATCH_ROWS[0], BATCH_ROWS.at(-1)];
  },
  async orm(driver, value) {
    assert.equal(await driver.orm(1, value), 'word 1');
    return [1, 1];
  },
};

const play = async (driver, script) => {
  const value = randomInt(1 << 30);
  if (script === 'again') {
    await driver.connect();
    assert.equal(await driver.word(2), 'word 2');
    await driver.release();
    await driver.close();
  }
  mark(script, 'begin');
  await driver.connect();
  mark(script, 'connected');
  const written = await steps[script](driver, value);
  mark(script, 'done');
  await driver.release();
  mark(script, 'released');
  if (written) assert.equal(await driver.seen(...written), value);
  await driver.close();
};

const [name, ...asked] = process.argv.slice(2);
let status = 0;
for (const script of asked.length ? asked : Object.keys(steps)) {
  const driver = new drivers[name]();
  if (!driver.scripts.includes(script)) continue;
  try {
    await play(driver, script);
  } catch (error) {
    mark(script, `fails: ${`${error.name}: ${error.message}`.replace(/\s+/g, ' ')}`);
    status = 1;
    await Promise.race([driver.close().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1000))]);
  }
}
process.exit(status);
