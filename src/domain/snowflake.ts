/** Discord's ids: https://discord.com/developers/docs/reference#snowflakes */
export const SNOWFLAKE = /^[0-9]{17,20}$/;

/** The fault of a server's id in a list of roles. */
export const EVERYONE_FAULT =
  'is the id of the server (@everyone), which Discord does not list among the roles of a member, so it admits nobody';

/** Discord's epoch: the first second of 2015. */
const EPOCH_MS = 1_420_070_400_000n;

/** The smallest id of a moment, in milliseconds since 1970: the lower 22 bits are zero. */
export function snowflakeAt(ms: number): bigint {
  return (BigInt(ms) - EPOCH_MS) << 22n;
}

/** The time at which an id was created, in milliseconds since 1970. */
export function snowflakeTime(id: string): number {
  return Number((BigInt(id) >> 22n) + EPOCH_MS);
}
