/** `subcommand` or `group.subcommand` of an option with a dotted name; empty for a plain one. */
export function subcommandOf(optionName: string): string {
  return optionName.slice(0, Math.max(0, optionName.lastIndexOf('.')));
}
