import { describe, expect, test } from 'vitest';
import { lintTemplates } from './lint.ts';
import type { RuleId } from './rules.ts';

/** A user's text. */
const TEXT = '{{workflow.parameters.text}}';
const CONTAINER = { image: 'alpine', command: ['true'] };
const exec = { exec: { command: ['sh', '-c', TEXT] } };
const volume = (source: object): object => ({ volumes: [{ name: 'v', ...source }] });
const inContainer = (fields: object): object => ({ container: { ...CONTAINER, ...fields } });
const artifact = (fields: object): object => ({ inputs: { artifacts: [{ name: 'a', path: '/a', ...fields }] } });

describe('a user’s text in each place of a template', () => {
  test.each<[RuleId, object]>([
    ['service-account', { serviceAccountName: TEXT }],
    ['service-account', { executor: { serviceAccountName: TEXT } }],
    ['placement', { nodeSelector: { zone: TEXT } }],
    ['placement', { tolerations: [{ key: TEXT }] }],
    ['placement', { affinity: { nodeAffinity: { zone: TEXT } } }],
    ['placement', { hostAliases: [{ ip: TEXT }] }],
    ['placement', { securityContext: { runAsUser: TEXT } }],
    ['placement', { schedulerName: TEXT }],
    ['placement', { priorityClassName: TEXT }],
    ['placement', { volumeClaimTemplates: [{ metadata: { name: TEXT } }] }],
    ['placement', volume({ emptyDir: { sizeLimit: TEXT } })],
    ['secret', volume({ secret: { secretName: TEXT } })],
    ['secret', volume({ hostPath: { path: TEXT } })],
    ['secret', volume({ projected: { sources: [{ configMap: { name: TEXT } }] } })],
    ['secret', volume({ csi: { driver: TEXT } })],
    ['secret', { imagePullSecrets: [{ name: TEXT }] }],
    ['pod-spec-patch', { podSpecPatch: TEXT }],
    ['artifact-location', { archiveLocation: { s3: { key: TEXT } } }],
    ['artifact-location', { artifactRepositoryRef: { key: TEXT } }],
    ['memoize', { memoize: { key: TEXT } }],
    ['mutex', { synchronization: { mutex: { name: TEXT } } }],
    ['expression', { retryStrategy: { expression: TEXT } }],
    ['expression', { metrics: { prometheus: [{ name: 'm', help: 'm', when: TEXT }] } }],
    ['image', { initContainers: [{ name: 'i', image: TEXT }] }],
    ['image', { sidecars: [{ name: 's', image: TEXT }] }],
    ['image', { container: undefined, containerSet: { containers: [{ name: 'c', image: TEXT }] } }],
    ['image', inContainer({ image: TEXT })],
    ['command', inContainer({ command: [TEXT] })],
    ['secret', inContainer({ envFrom: [{ secretRef: { name: TEXT } }] })],
    ['secret', inContainer({ env: [{ name: 'N', valueFrom: { secretKeyRef: { name: TEXT, key: 'k' } } }] })],
    ['variable-name', inContainer({ env: [{ name: TEXT, value: 'x' }] })],
    ['interpreter-argument', inContainer({ env: [{ name: 'NODE_OPTIONS', value: `--max-old-space-size=${TEXT}` }] })],
    ['interpreter-argument', inContainer({ env: [{ name: 'GIT_SSH_COMMAND', value: `ssh -p ${TEXT}` }] })],
    ['placement', inContainer({ env: [{ name: 'PYTHONPATH', value: `/src/${TEXT}` }] })],
    ['secret', inContainer({ env: [{ name: 'PATH', valueFrom: { secretKeyRef: { name: TEXT, key: 'k' } } }] })],
    ['placement', inContainer({ workingDir: TEXT })],
    ['placement', inContainer({ volumeMounts: [{ name: 'v', mountPath: TEXT }] })],
    ['placement', inContainer({ volumeDevices: [{ name: 'v', devicePath: TEXT }] })],
    ['placement', inContainer({ securityContext: { runAsUser: TEXT } })],
    ['command', inContainer({ lifecycle: { preStop: exec } })],
    ['command', inContainer({ livenessProbe: exec })],
    ['command', inContainer({ readinessProbe: exec })],
    ['command', inContainer({ startupProbe: exec })],
    ['artifact-location', { container: undefined, resource: { action: 'get', manifestFrom: { artifact: TEXT } } }],
    ['expression', { container: undefined, resource: { action: 'get', successCondition: TEXT } }],
    ['expression', { container: undefined, resource: { action: 'get', failureCondition: TEXT } }],
    ['manifest', { container: undefined, resource: { action: 'create', manifest: `kind: ${TEXT}` } }],
    ['manifest', { container: undefined, resource: { action: 'get', flags: [TEXT] } }],
    ['url-host', { container: undefined, http: { url: `https://${TEXT}/` } }],
    ['http-content', { container: undefined, http: { url: `https://a.example/${TEXT}` } }],
    ['expression', { container: undefined, http: { url: 'https://a.example/', successCondition: TEXT } }],
    ['http-content', { container: undefined, http: { url: 'https://a.example/', headers: [{ name: TEXT }] } }],
    ['http-content', { container: undefined, http: { url: 'https://a.example/', body: TEXT } }],
    ['http-content', { container: undefined, http: { url: 'https://a.example/', bodyFrom: { bytes: TEXT } } }],
    ['http-content', { container: undefined, http: { url: 'https://a.example/', method: TEXT } }],
    ['placement', artifact({ path: TEXT })],
    ['placement', artifact({ subPath: TEXT })],
    ['artifact-location', artifact({ s3: { key: TEXT } })],
    ['expression', artifact({ fromExpression: TEXT })],
    ['expression', { container: undefined, dag: { target: TEXT, tasks: [] } }],
    ['artifact-location', { outputs: { artifacts: [{ name: 'a', path: '/a', s3: { key: TEXT } }] } }],
    ['expression', { outputs: { parameters: [{ name: 'p', valueFrom: { expression: TEXT } }] } }],
  ])('%s: %j', (rule, part) => {
    const spec = {
      entrypoint: 'main',
      arguments: { parameters: [{ name: 'text', value: 'a' }] },
      templates: [{ name: 'main', container: CONTAINER, ...part }],
    };
    const manifest = { kind: 'WorkflowTemplate', metadata: { name: 't' }, spec };
    expect(lintTemplates([manifest]).map((finding) => finding.rule)).toEqual([rule]);
  });
});

describe('a user’s text in each place of a task', () => {
  test.each<[RuleId, object]>([
    ['expression', { when: TEXT }],
    ['expression', { depends: TEXT }],
    ['expression', { dependencies: [TEXT] }],
    ['expression', { hooks: { running: { template: 'other', expression: TEXT } } }],
    ['template-name', { template: TEXT }],
    ['template-name', { template: undefined, templateRef: { name: TEXT, template: 'main' } }],
    ['template-name', { onExit: TEXT }],
    ['with-param', { withParam: `["${TEXT}"]` }],
    ['artifact-location', { arguments: { artifacts: [{ name: 'a', s3: { key: TEXT } }] } }],
  ])('%s: %j', (rule, part) => {
    const spec = {
      entrypoint: 'main',
      arguments: { parameters: [{ name: 'text', value: 'a' }] },
      templates: [
        { name: 'main', dag: { tasks: [{ name: 'task', template: 'other', ...part }] } },
        { name: 'other', container: CONTAINER },
      ],
    };
    const manifest = { kind: 'WorkflowTemplate', metadata: { name: 't' }, spec };
    expect(lintTemplates([manifest]).map((finding) => finding.rule)).toEqual([rule]);
  });
});
