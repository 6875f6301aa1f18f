import type { Database } from '../clients/postgres/database.ts';
import type { Announcements } from '../ledger/due-work.ts';
import { showWaiting } from '../ledger/reviewed-reflections.ts';
import { saveReflection, type NewReflection, type Reflection } from '../ledger/run-reports.ts';
import { searchReflections, type FoundReflection, type ReflectionQuery } from '../ledger/search-reflections.ts';
import type { Reporter, Written } from '../ledger/write-report.ts';
import type { EmbeddedText, Embedder } from './embed.ts';
import type { ReflectionEvents } from './reflection-events.ts';

interface KnowledgeDeps {
  readonly db: Database;
  readonly embedder: Embedder;
  readonly events: ReflectionEvents;
  /** Announces messages with something to review; absent if nobody reviews in Discord. */
  readonly reviewing?: Pick<Announcements, 'messagesDue'> | undefined;
}

/** A reflection to save; one without an embedding is embedded here. */
type ReflectionToSave = Omit<NewReflection, 'embedding' | 'embeddingVersion'> & {
  readonly embedded: EmbeddedText | undefined;
};

/** A search; a text without an embedding is embedded here. */
type KnowledgeQuery = Omit<ReflectionQuery, 'embedding' | 'embeddingVersion' | 'exactBelow'> & {
  readonly embedded: EmbeddedText | undefined;
};

interface KnowledgeAnswer {
  readonly found: readonly FoundReflection[];
  /** The version of the embeddings that were compared with the query's; undefined if only words were compared. */
  readonly embeddingVersion: string | undefined;
}

/** Reflections with their embeddings. A reflection without one is still saved and found. */
export interface Knowledge {
  save(reporter: Reporter, reflection: ReflectionToSave, signal: AbortSignal): Promise<Written<Reflection>>;
  search(query: KnowledgeQuery, signal: AbortSignal): Promise<KnowledgeAnswer>;
}

export function createKnowledge({ db, embedder, events, reviewing }: KnowledgeDeps): Knowledge {
  return {
    async save(reporter, { embedded: given, ...reflection }, signal) {
      const work = async (): Promise<Written<Reflection>> => {
        const brought = given !== undefined && embedder.isOwn(given.version) ? undefined : given;
        const embedded = brought ?? (await embedder.embedPassage(reflection.content, signal));
        return saveReflection(db, reporter, {
          ...reflection,
          embedding: embedded?.embedding ?? null,
          embeddingVersion: embedded?.version ?? null,
        });
      };
      const written = await events.save(
        reflection.type,
        work,
        ({ kind }) => kind === 'created' || kind === 'unchanged',
      );
      // Only for a run that has ended: the message of any other will still show its end.
      if (reviewing !== undefined && 'row' in written && (await showWaiting(db, reporter.runId))) {
        void reviewing.messagesDue();
      }
      return written;
    },
    async search({ embedded: given, ...query }, signal) {
      let embedded = given;
      const found = await events.search(async () => {
        embedded ??= query.text === undefined ? undefined : await embedder.embedQuery(query.text, signal);
        const vector =
          embedded === undefined ? {} : { embedding: embedded.embedding, embeddingVersion: embedded.version };
        return searchReflections(db, { ...query, ...vector });
      });
      return { found, embeddingVersion: embedded?.version };
    },
  };
}
