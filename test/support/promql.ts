import { parser } from '@prometheus-io/lezer-promql';

/** One selector in a query. */
export interface Selector {
  /** The metric's name, or a pattern for it. */
  readonly name: string | RegExp;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

export interface Query {
  readonly selectors: readonly Selector[];
  /** Labels that results are grouped by. */
  readonly groupings: readonly string[];
}

/** Parses PromQL with Prometheus's own grammar. Throws if it is invalid. */
export function readQuery(text: string): Query {
  const selectors: { name: string | RegExp; matchers: Selector['matchers'][number][] }[] = [];
  const groupings: string[] = [];
  let inGrouping = false;
  parser.parse(text).iterate({
    enter({ name, type, from, to }) {
      const content = text.slice(from, to);
      if (type.isError) {
        throw new Error(`no PromQL at "${text.slice(from, from + 20)}" in ${text}`);
      }
      if (name === 'VectorSelector') {
        selectors.push({ name: '', matchers: [] });
      } else if (name === 'Identifier') {
        selectors.at(-1)!.name = content;
      } else if (name === 'UnquotedLabelMatcher') {
        addMatcher(selectors.at(-1)!, content);
      } else if (name === 'GroupingLabels') {
        inGrouping = true;
      } else if (name === 'LabelName' && inGrouping) {
        groupings.push(content);
      }
    },
    leave({ name }) {
      inGrouping &&= name !== 'GroupingLabels';
    },
  });
  return { selectors, groupings };
}

function addMatcher(selector: { name: string | RegExp; matchers: Selector['matchers'][number][] }, text: string): void {
  const [, label = '', operator = '', value = ''] = /^(\w+)\s*(=~|!~|!=|=)\s*"(.*)"$/.exec(text) ?? [];
  if (label === '__name__') {
    selector.name = new RegExp(`^(?:${value})$`);
  } else {
    selector.matchers.push({ label, operator, value });
  }
}

/** Labels of each series of a scrape, by the name of the sample. */
export function seriesOf(scrape: string): Map<string, Record<string, string>[]> {
  const series = new Map<string, Record<string, string>[]>();
  for (const line of scrape.split('\n')) {
    const [, name, labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (name !== undefined) {
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => [
        label,
        value,
      ]);
      series.set(name, [...(series.get(name) ?? []), Object.fromEntries(pairs)]);
    }
  }
  return series;
}
