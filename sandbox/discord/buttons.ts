import { isRecord } from '../../src/base/json.ts';

/** Discord's button colors. */
const STYLES = { 1: 'blue', 2: 'grey', 3: 'green', 4: 'red', 5: 'link' } as const;

/** A button under a message. */
export interface ShownButton {
  readonly label: string;
  readonly style: (typeof STYLES)[keyof typeof STYLES];
  readonly disabled: boolean;
  /** Empty for a link. */
  readonly customId: string;
}

/** The buttons of a message's components, row by row. */
export function buttonRows(components: readonly unknown[]): readonly (readonly ShownButton[])[] {
  return components
    .map((row) => (isRecord(row) && Array.isArray(row['components']) ? (row['components'] as unknown[]) : []))
    .map((row) => row.filter(isRecord).map(readButton));
}

function readButton(button: Readonly<Record<string, unknown>>): ShownButton {
  const { label, style, custom_id: id, disabled } = button;
  return {
    label: typeof label === 'string' ? label : '',
    style: STYLES[style as keyof typeof STYLES] ?? 'grey',
    disabled: disabled === true,
    customId: typeof id === 'string' ? id : '',
  };
}
