import type { Queryable } from '../clients/postgres/database.ts';

/** The maximum size of a page in bytes of JSON: one row may have 100 KiB. */
const MAX_PAGE_BYTES = 4 * 2 ** 20;

/** Rows of a page, and whether there are more. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly hasMore: boolean;
}

interface PageQuery {
  readonly columns: string;
  /** The FROM clause with its conditions. */
  readonly from: string;
  /** A total order: no two rows compare equal. */
  readonly order: string;
  /** The columns whose values may be large. */
  readonly large: readonly string[];
  /** The parameters of `from`. */
  readonly values: readonly unknown[];
  readonly limit: number;
}

/** At most `limit` rows, and fewer if they are large; at least one if there is one. */
export async function readPage<Row extends object>(
  db: Queryable,
  { columns, from, order, large, values, limit }: PageQuery,
): Promise<Page<Row>> {
  const [most, maxBytes] = [`$${values.length + 1}::int`, `$${values.length + 2}`];
  const bytes = large.map((column) => `octet_length(${column}::text)`).join(' + ');
  const { rows } = await db.query<Row & { readonly found: number }>({
    text: `SELECT ${columns}, found FROM (
        SELECT *, row_number() OVER places AS place, (count(*) OVER ())::int AS found,
          sum(${bytes}) OVER places - (${bytes}) AS bytes_before
        FROM (SELECT * FROM ${from} ORDER BY ${order} LIMIT ${most} + 1) next_rows
        WINDOW places AS (ORDER BY ${order})
      ) measured WHERE place <= ${most} AND bytes_before < ${maxBytes} ORDER BY place`,
    values: [...values, limit, MAX_PAGE_BYTES],
  });
  const hasMore = (rows[0]?.found ?? 0) > rows.length;
  return { rows: rows.map(({ found: _found, ...row }) => row as unknown as Row), hasMore };
}
