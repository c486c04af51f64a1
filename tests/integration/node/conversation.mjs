// Holds one conversation with PostgreSQL through node-postgres and prints what was said, as one JSON object.
// Standard input: {"conversation": NAME, "client": {…what pg.Client takes}, "table": NAME, "caFile": PATH or null}.
// Each conversation only reports; what the answers ought to be is written in test_node_postgres.py.

import fs from 'node:fs';
import pg from 'pg';

const job = JSON.parse(fs.readFileSync(0, 'utf8'));
const config = { ...job.client, connectionTimeoutMillis: 20000 };
if (job.caFile) config.ssl = { ca: fs.readFileSync(job.caFile, 'utf8'), rejectUnauthorized: true };

const errorOf = (error) => ({ code: error.code, message: error.message, severity: error.severity });

const failure = async (promise) => {
  try {
    await promise;
    return null;
  } catch (error) {
    return errorOf(error);
  }
};

const conversations = {
  async parameters(client) {
    const { rows } = await client.query(
      'select $1::int as n, $2::text as word, $3::jsonb as document, $4::bytea as bytes, $5::text as nothing',
      [7, 'grüße', { a: [1, null] }, Buffer.from([0, 255]), null],
    );
    return { ...rows[0], bytes: rows[0].bytes.toString('hex') };
  },

  async simple(client) {
    const results = await client.query('select 1 as a; select 2 as b, 3 as c');
    return results.map((result) => result.rows);
  },

  async named(client) {
    const seen = [];
    for (let number = 0; number < 20; number += 1) {
      const { rows } = await client.query({ name: 'add', text: 'select $1::int + 1 as n', values: [number] });
      seen.push(rows[0].n);
    }
    return seen;
  },

  async transactions(client, table) {
    await client.query('begin');
    await client.query(`insert into ${table} values ($1, $2)`, [1, 'kept']);
    await client.query('commit');
    await client.query('begin');
    await client.query(`insert into ${table} values ($1, $2)`, [2, 'undone']);
    await client.query('rollback');
    return (await client.query(`select * from ${table}`)).rows;
  },

  async errors(client, table) {
    await client.query(`insert into ${table} values (1, 'first')`);
    await client.query('begin');
    const twice = await failure(client.query(`insert into ${table} values ($1, $2)`, [1, 'twice']));
    const aborted = await failure(client.query('select 1'));
    await client.query('rollback');
    return { twice, aborted, after: (await client.query('select 1 as n')).rows };
  },

  async large(client) {
    const { rows } = await client.query("select n, repeat('x', 200) as word from generate_series(1, $1::int) as n", [
      20000,
    ]);
    return { count: rows.length, bytes: rows.reduce((sum, row) => sum + row.word.length, 0), last: rows.at(-1).n };
  },

  async queued(client) {
    const answers = Array.from({ length: 100 }, (_, number) => client.query('select $1::int as n', [number]));
    return (await Promise.all(answers)).map((answer) => answer.rows[0].n);
  },

  async notice(client) {
    const seen = [];
    client.on('notice', (message) => seen.push(message.message));
    await client.query("do $$ begin raise notice 'look here'; end $$");
    return seen;
  },
};

// Several clients at once, each from connect to end: what a function in a cloud does.
const pooled = async () => {
  const pool = new pg.Pool({ ...config, max: 10 });
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, number) => pool.query('select $1::int as n', [number])),
  );
  await pool.end();
  return answers.map((answer) => answer.rows[0].n);
};

const hold = async () => {
  if (job.conversation === 'pooled') return pooled();
  const client = new pg.Client(config);
  try {
    await client.connect();
  } catch (error) {
    return { refused: errorOf(error) };
  }
  try {
    return await conversations[job.conversation](client, job.table);
  } finally {
    await client.end();
  }
};

process.stdout.write(JSON.stringify(await hold()));
