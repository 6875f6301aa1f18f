/** The roles of a process; any process on a database may have any of them. */
export const ROLES = ['http', 'submit', 'follow', 'notify', 'kafka'] as const;

export type Role = (typeof ROLES)[number];

/** `serve` has every role except reading Kafka; `consume` has every role except HTTP. */
export const SERVE_ROLES: readonly Role[] = ['http', 'submit', 'follow', 'notify'];
export const CONSUME_ROLES: readonly Role[] = ['kafka', 'submit', 'follow', 'notify'];
