import { argoText } from '../domain/argo-text.ts';
import { dictionary } from '../config/dictionary.ts';
import type { CommandDefinition, ModalDefinition, ModalField, OptionDefinition, Principal } from '../domain/command.ts';

/** The field whose text the Go service's workflows also read from `payload`. */
const CONTENT = 'content';
const PAYLOAD = 'payload';
const MAX_TITLE = 120;

/**
 * The definitions that apply to a command's options: its own, or else its form's fields. A form with `content` also has a
 * `payload`, which the chat door creates and the Go service's upstream sends.
 */
export function optionsOf({ options, modal }: CommandDefinition): readonly OptionDefinition[] {
  if (modal === undefined || options.length > 0) {
    return options;
  }
  const fields = modal.fields.map(fieldAsOption);
  const hasContent = modal.fields.some(({ name }) => name === CONTENT);
  return hasContent ? [...fields, { name: PAYLOAD, description: '', type: 'string', required: false }] : fields;
}

function fieldAsOption({ name, label, required, minLength, maxLength }: ModalField): OptionDefinition {
  return {
    name,
    description: label,
    type: 'string',
    required,
    ...(minLength === undefined ? {} : { minLength }),
    ...(maxLength === undefined ? {} : { maxLength }),
  };
}

/** The submission of a form. */
export interface FormSubmission {
  readonly fields: Readonly<Record<string, string>>;
  readonly interactionId: string;
  readonly principal: Principal;
  readonly issuedAt: Date;
}

/**
 * The fields of a submitted form, without a `payload` that the form did not ask for: only a modified client sends one, and
 * workflows read the user from it.
 */
export function fieldsOf(
  sent: Readonly<Record<string, string>>,
  modal: ModalDefinition | undefined,
): Readonly<Record<string, string>> {
  const isAsked = modal?.fields.some(({ name }) => name === PAYLOAD) === true;
  return dictionary(Object.entries(sent).filter(([name]) => isAsked || name !== PAYLOAD));
}

/** The fields as a command's options. If there is `content`, they include the `payload` that the Go service's workflows read. */
export function modalOptions(submission: FormSubmission): Readonly<Record<string, string>> {
  const options = Object.assign(Object.create(null) as Record<string, string>, submission.fields);
  const content = Object.hasOwn(submission.fields, CONTENT) ? (submission.fields[CONTENT] ?? '') : '';
  if (content !== '') {
    options[PAYLOAD] = JSON.stringify(payloadOf(content, submission));
  }
  return options;
}

function payloadOf(prompt: string, { interactionId, principal, issuedAt }: FormSubmission): object {
  return {
    stage: 'implementation',
    prompt,
    title: titleOf(prompt),
    repository: '',
    issueNumber: '',
    postToGithub: false,
    runId: interactionId,
    issuedAt: issuedAt.toISOString(),
    guildId: principal.guildId,
    channelId: principal.channelId,
    user: {
      id: principal.userId,
      // A display name that Argo cannot read must not block a command.
      username: argoText(principal.username),
      globalName: argoText(principal.globalName),
    },
  };
}

/** The first line that is not blank, at most 120 characters, with `…` if it was cut. */
export function titleOf(prompt: string): string {
  const line = prompt.split(/\r?\n|\r/).find((candidate) => candidate.trim() !== '') ?? '';
  const characters = [...line.trim()];
  return characters.length <= MAX_TITLE ? characters.join('') : `${characters.slice(0, MAX_TITLE - 1).join('')}…`;
}
