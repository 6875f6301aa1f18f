import { Option, type Command } from 'commander';
import { FacteurError } from '../base/errors.ts';
import { lintTemplates } from '../domain/lint/lint.ts';
import { specHash } from '../domain/lint/review.ts';
import { readObject } from '../domain/lint/templates.ts';
import type { CliIo } from './io.ts';
import type { ClusterAccessFor } from './known-commands.ts';
import { countFindings, formatReport, type LintReport, type ReportFormat } from './lint-report.ts';
import { readManifests, type ManifestSource } from './manifest-files.ts';
import { UsageError } from './program.ts';
import { readConfig } from './read-config.ts';
import { withConfigOption } from './serve.ts';

interface LintOptions {
  readonly config?: string;
  readonly cluster?: true;
  readonly output: ReportFormat;
}

/** Dependencies of the command. */
interface LintDeps {
  readonly version: string;
  readonly clusterAccess: ClusterAccessFor;
}

/**
 * `facteur commands lint [FILE…|-]`: reports templates that run user text as code. Linting files needs neither configuration nor
 * cluster.
 */
export function registerLint(commands: Command, io: CliIo, { version, clusterAccess }: LintDeps): void {
  withConfigOption(commands.command('lint'))
    .description('find workflow templates that run user text as code')
    .argument('[files...]', 'manifests in YAML or JSON; - is standard input')
    .option('--cluster', 'check the templates in the namespaces of the configuration')
    .addOption(new Option('-o, --output <format>', 'format').choices(['human', 'json', 'sarif']).default('human'))
    .addHelpText(
      'after',
      `
Examples:
  facteur commands lint deploy/components/workflows/*.yaml
  facteur commands lint --cluster -o sarif > findings.sarif`,
    )
    .action(async (files: readonly string[], options: LintOptions) => {
      if ((files.length === 0) !== (options.cluster === true)) {
        throw new UsageError('lint: name files, or - for standard input, or use --cluster');
      }
      const report =
        options.cluster === true ? await lintCluster(io, options, clusterAccess) : await lintFiles(io, files);
      io.stdout.write(formatReport(report, options.output, version));
      if (report.findings.some(({ level }) => level === 'error')) {
        throw new FacteurError('lint.errors', `lint: ${countFindings(report.findings)}`, { retryable: false });
      }
    });
}

async function lintFiles(io: CliIo, files: readonly string[]): Promise<LintReport> {
  const sources = (await Promise.all(files.map((file) => readManifests(io, file)))).flat();
  return reportOn(sources, {});
}

async function lintCluster(io: CliIo, { config: path }: LintOptions, access: ClusterAccessFor): Promise<LintReport> {
  const { config } = await readConfig(io, { path, require: ['argo'] });
  const { listTemplates, missingTemplates } = await import('../service/lint-configured.ts');
  const templates = await listTemplates(config, { clusterAccess: () => access(io) }, io.signal);
  const report = reportOn(
    templates.map((manifest) => ({ manifest, locate: () => ({}) })),
    { complete: true, guildId: config.discord?.guildId },
  );
  const missing = missingTemplates(config, templates).map((finding) => ({ ...finding, at: {} }));
  return { ...report, findings: [...report.findings, ...missing] };
}

function reportOn(sources: readonly ManifestSource[], options: Parameters<typeof lintTemplates>[1]): LintReport {
  const manifests = sources.map(({ manifest }) => manifest);
  const findings = lintTemplates(manifests, options);
  return {
    findings: findings.map((finding) => ({ ...finding, at: sources[finding.manifest]?.locate(finding) ?? {} })),
    templates: sources.flatMap(({ manifest, locate }, index) => {
      const object = readObject(manifest, index);
      if (object === undefined) {
        return [];
      }
      const { kind, namespace, name } = object;
      return [{ kind, namespace, name, at: locate({ path: [], text: '' }), specHash: specHash(object) }];
    }),
  };
}
