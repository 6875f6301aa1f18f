import { modalOptions } from '../dispatch/modal-options.ts';
import type { Command, Door, Principal } from '../domain/command.ts';
import { findCommand, type CommandRules } from '../domain/command-rules.ts';
import { refusalOfField } from '../domain/refusal.ts';

/** A command requested by a program or an operator. */
interface AskedCommand {
  readonly door: Door;
  readonly deliveryId: string;
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly principal: Principal;
  readonly actor: string;
  readonly correlationId: string;
  readonly traceparent: string;
  readonly now: Date;
}

/**
 * The command as Discord's door would send it: the fields of a form are passed as options.
 *
 * @throws Refusal `unknown_command` for a command that only reports
 */
export function askedCommand({ now, ...asked }: AskedCommand, rules: CommandRules): Command {
  const { name, options, deliveryId, principal } = asked;
  const definition = findCommand(rules, name);
  if (definition?.action === 'status') {
    throw refusalOfField('unknown_command', 'command', `${name} only reports, and has no workflow to run`);
  }
  const fields = Object.assign(Object.create(null) as Record<string, string>, options);
  const isForm = definition?.modal !== undefined && !Object.hasOwn(fields, 'payload');
  return {
    ...asked,
    interactionId: '',
    options: isForm ? modalOptions({ fields, interactionId: deliveryId, principal, issuedAt: now }) : fields,
    traceId: '',
  };
}
