import { Client } from 'pg';

/** Runs one statement, such as CREATE DATABASE, as the DSN's user on its own connection. */
export async function administer(dsn: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: dsn });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The same server's DSN with another database. */
export function withDatabase(dsn: string, database: string): string {
  const url = new URL(dsn);
  url.pathname = `/${database}`;
  return url.href;
}
