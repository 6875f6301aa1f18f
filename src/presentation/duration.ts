const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** `4 min 12 s`, `2 d 3 h`: the two largest nonzero units, never negative. */
export function describeDuration(ms: number): string {
  return inUnits(ms, 2);
}

/** `4 min`, `2 d`: only the largest unit. */
export function describeAge(ms: number): string {
  return inUnits(ms, 1);
}

function inUnits(ms: number, most: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  if (seconds === 0) {
    return 'under 1 s';
  }
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  let rest = seconds;
  const parts: string[] = [];
  for (const [unit, size] of UNITS.slice(first, first + most)) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count > 0) {
      parts.push(`${count} ${unit}`);
    }
  }
  return parts.join(' ');
}
