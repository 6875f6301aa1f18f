import type { ApprovalOutcome, FilledIn } from '../../dispatch/decide.ts';
import type { ApprovalField } from '../../domain/approval-rules.ts';
import { approvalButtonId } from '../../presentation/button-id.ts';
import { form, type Reply } from './reply.ts';

const LABEL = 18;
const TEXT_INPUT = 4;
const STRING_SELECT = 3;
const SHORT = 1;
const PARAGRAPH = 2;
/** Discord's limits. */
const MAX_TITLE = 45;
const MAX_LABEL = 45;
const MAX_DESCRIPTION = 100;
const MAX_CHOICES = 25;
const MAX_CHOICE = 100;
const MAX_INPUT = 4000;
const MAX_INPUTS = 5;
/** The input for the reason, which is not an output of the step. */
const REASON = 'reason';

/** The form that asks for the outputs of an approval, or the reason of a rejection. Inputs are numbered: names may be long. */
export function approvalForm({
  approval,
  verdict,
  fields,
  askReason,
}: Extract<ApprovalOutcome, { kind: 'form' }>): Reply {
  const { runId, key, node } = approval;
  const action = verdict === 'approved' ? 'approve' : 'reject';
  const inputs = fields.map((field, index) => labelled(field.name, field.description, inputFor(field, index)));
  const reason = {
    type: TEXT_INPUT,
    custom_id: REASON,
    style: PARAGRAPH,
    required: askReason === 'required',
    max_length: 500,
  };
  return form({
    custom_id: approvalButtonId(action, runId, key),
    title: cut(`${verdict === 'approved' ? 'Approve' : 'Reject'} ${node}`, MAX_TITLE),
    components: askReason === 'none' ? inputs : [...inputs, labelled('Reason', '', reason)],
  });
}

/** The values that the user entered. */
export function filledIn(inputs: Readonly<Record<string, string>>): FilledIn {
  const outputs = Array.from({ length: MAX_INPUTS }, (_, index) => inputs[inputId(index)]);
  return { outputs, reason: inputs[REASON] ?? '' };
}

function inputFor({ choices, preset }: ApprovalField, index: number): object {
  const custom_id = inputId(index);
  const selectable = choices !== null && choices.length <= MAX_CHOICES && choices.every(isChoice);
  if (selectable && new Set(choices).size === choices.length) {
    const options = choices.map((value) => ({ label: value, value, ...(value === preset ? { default: true } : {}) }));
    return { type: STRING_SELECT, custom_id, options, required: true };
  }
  const isShown = preset !== null && preset.length <= MAX_INPUT;
  const value = isShown && preset !== '' ? { value: preset } : {};
  const hint = choices === null ? {} : { placeholder: cut(`one of ${choices.join(', ')}`, MAX_CHOICE) };
  const style = choices === null ? PARAGRAPH : SHORT;
  // If the input cannot show the default, it is required: otherwise the default would silently become an empty text.
  return { type: TEXT_INPUT, custom_id, style, required: !isShown, max_length: MAX_INPUT, ...hint, ...value };
}

function isChoice(choice: string): boolean {
  return choice.trim() !== '' && choice.length <= MAX_CHOICE;
}

function inputId(index: number): string {
  return `output-${index}`;
}

function labelled(label: string, description: string, component: object): object {
  const text = cut(description.trim(), MAX_DESCRIPTION);
  return { type: LABEL, label: cut(label, MAX_LABEL), ...(text === '' ? {} : { description: text }), component };
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).toWellFormed()}…`;
}
