import { FacteurError } from '../base/errors.ts';

/** Where a value was written: in the file (lines and columns count from 1), or in an environment variable. */
export interface Place {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly variable?: string;
}

/** One error or warning about the configuration. */
export interface Fault extends Place {
  /** The dotted key, such as `codex_listener.sasl.username`; empty when it concerns the file as a whole. */
  readonly key: string;
  /** One sentence that names the key and never repeats a value, since values may be secret. */
  readonly message: string;
}

/** Reports all errors that make the configuration unusable at once. */
export class ConfigError extends FacteurError {
  readonly faults: readonly Fault[];
  /** Problems that prevent nothing by themselves but may explain an error, such as a mistyped variable. */
  readonly warnings: readonly Fault[];

  constructor(faults: readonly Fault[], more: { readonly warnings?: readonly Fault[]; readonly cause?: unknown } = {}) {
    const { warnings = [], cause } = more;
    const lines = [...faults.map(formatFault), ...warnings.map((warning) => `warning: ${formatFault(warning)}`)];
    super('config.invalid', lines.join('; '), { retryable: false, cause });
    this.faults = faults;
    this.warnings = warnings;
  }
}

/** `facteur.yaml:3:5: the message`, `FACTEUR_REDIS_URL: the message`, or the message alone when it has no place. */
export function formatFault(fault: Fault): string {
  const place = formatPlace(fault);
  return place === '' ? fault.message : `${place}: ${fault.message}`;
}

/** `facteur.yaml:3:5`, `FACTEUR_REDIS_URL`, or nothing. */
export function formatPlace(place: Place): string {
  if (place.variable !== undefined) {
    return place.variable;
  }
  return [place.file, place.line, place.column].filter((part) => part !== undefined).join(':');
}
