import { redactUrl } from '../base/secret.ts';
import type { KeyInfo } from './keys.ts';

/** What was written under a key, else its default, as it may be shown: secrets as `***`, URLs without their password. */
export function showValue(info: Pick<KeyInfo, 'secret' | 'fallback'>, written: unknown): unknown {
  const value = written ?? info.fallback;
  if (value === undefined || info.secret === 'no') {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map(() => '***');
  }
  return info.secret === 'url' && typeof value === 'string' ? redactUrl(value.trim()) : '***';
}
