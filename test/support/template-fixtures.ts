import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import type { TemplateRules } from '../../src/domain/template-command.ts';
import type { Json } from './cluster.ts';

/** One WorkflowTemplate that defines a command, and its title. */
export interface TemplateFixture {
  readonly title: string;
  readonly template: Json;
}

export const TEMPLATE_FIXTURES = new URL('../fixtures/template-commands/', import.meta.url);

/** The operator's settings for the golden file. */
export const FIXTURE_RULES: TemplateRules = {
  parameters: { cluster: 'lab' },
  roleMap: { ops: ['500000000000000001', '500000000000000003'] },
  defaultRoles: [],
  serviceAccounts: ['deployer'],
};

/** Every template of `test/fixtures/template-commands/templates.yaml`, with the comment above it as the title. */
export function templateFixtures(): readonly TemplateFixture[] {
  const text = readFileSync(new URL('templates.yaml', TEMPLATE_FIXTURES), 'utf8');
  return parseAllDocuments(text).map((document, index) => ({
    title: (document.commentBefore ?? document.contents?.commentBefore ?? `template ${index}`).trim(),
    template: document.toJS(),
  }));
}
