import { counter } from '../base/metrics.ts';
import { SPANS } from '../base/spans.ts';
import { inSpan } from '../base/telemetry.ts';

/** Types that are counted by name; workflows may use any, and each would be a separate series. */
const NAMED_TYPES = ['critique', 'failure_postmortem', 'lesson', 'plan_insight'];
const OTHER_TYPE = '(other)';

/** Metrics and spans of saving and searching reflections. */
export class ReflectionEvents {
  readonly #saved = counter(
    'facteur_reflections_saved_total',
    [...NAMED_TYPES, OTHER_TYPE].map((reflection_type) => ({ reflection_type })),
  );
  readonly #retrieved = counter('facteur_reflections_retrieved_total', [{}]);

  /** @param isStored whether the result was stored, newly or unchanged */
  save<T>(type: string, work: () => Promise<T>, isStored: (result: T) => boolean): Promise<T> {
    const reflectionType = NAMED_TYPES.includes(type) ? type : OTHER_TYPE;
    return inSpan(SPANS.saveReflection, { attributes: { 'facteur.reflection_type': type } }, async () => {
      const result = await work();
      if (isStored(result)) {
        this.#saved.add(1, { reflection_type: reflectionType });
      }
      return result;
    });
  }

  search<T extends readonly unknown[]>(work: () => Promise<T>): Promise<T> {
    return inSpan(SPANS.fetchReflections, {}, async (span) => {
      const found = await work();
      span.setAttribute('facteur.reflections', found.length);
      this.#retrieved.add(found.length);
      return found;
    });
  }
}
