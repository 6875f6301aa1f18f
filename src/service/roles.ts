/** What a process may do; every process on one database may do any of it. */
export const ROLES = ['http', 'submit', 'follow', 'notify', 'kafka'] as const;

export type Role = (typeof ROLES)[number];

/** `serve` does everything but read Kafka; `consume` does everything but listen. */
export const SERVE_ROLES: readonly Role[] = ['http', 'submit', 'follow', 'notify'];
export const CONSUME_ROLES: readonly Role[] = ['kafka', 'submit', 'follow', 'notify'];
