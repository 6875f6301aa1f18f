import { EVERYONE_FAULT } from '../snowflake.ts';

/** `error`: text becomes code, or decides what runs. `warning`: it can do harm. `info`: worth knowing. */
export type Level = 'error' | 'warning' | 'info';

interface Rule {
  readonly level: Level;
  /** A line for lists. */
  readonly title: string;
  /** The text after the tag in a message. */
  readonly problem: string;
  readonly fix: string;
}

/** Every rule, by the id used in findings. */
export const RULES = {
  'script-source': {
    level: 'error',
    title: 'User text in a script',
    problem: 'is put into the script as text',
    fix: 'set it in env and write "$NAME" in the script',
  },
  command: {
    level: 'error',
    title: 'User text in a command',
    problem: 'is part of the command',
    fix: 'write a fixed command, and pass the text in env',
  },
  'interpreter-argument': {
    level: 'error',
    title: 'User text in code given to an interpreter',
    problem: 'is put into code that an interpreter runs',
    fix: 'in a shell, set it in env and write "$NAME", or pass it after the code and write "$1"; elsewhere pass it as data, as jq --arg and psql -v do; limit a variable such as NODE_OPTIONS by an enum',
  },
  argument: {
    level: 'warning',
    title: 'User text as an argument',
    problem: 'is an argument: text that begins with "-" is an option',
    fix: 'put "--" before it, or write the option and the text as one argument (--name={{…}}), or pass it in env',
  },
  expression: {
    level: 'error',
    title: 'User text in a condition or an expression',
    problem: 'is put into an expression as text',
    fix: "compare inside the tag: {{= inputs.parameters.name == 'value' }}",
  },
  'nested-tag': {
    level: 'error',
    title: 'A tag in a tag',
    problem: 'is a tag in a tag: its text becomes part of the outer one',
    fix: 'use the variable in the expression without braces',
  },
  'with-param': {
    level: 'error',
    title: 'User text in the JSON of a loop',
    problem: 'is put into the JSON of the list as text',
    fix: 'write {{=toJson(inputs.parameters.name)}} without quotes around it, or use withItems',
  },
  manifest: {
    level: 'error',
    title: 'User text in a Kubernetes manifest or in arguments of kubectl',
    problem: 'is put into the manifest as text: it can add fields, or whole objects',
    fix: 'write {{=toJson(inputs.parameters.name)}} without quotes around it',
  },
  'pod-spec-patch': {
    level: 'error',
    title: 'User text in a pod patch',
    problem: "is put into the pod's patch as text: it can change the image, the command and the service account",
    fix: 'choose among fixed patches by templates of their own, with "when"',
  },
  data: {
    level: 'error',
    title: 'User text in a data template',
    problem: 'is put into the expressions of a data template as text',
    fix: 'use the variable in the expression without braces',
  },
  plugin: {
    level: 'error',
    title: 'User text in a plugin',
    problem: 'is given to a plugin, whose use of it cannot be checked',
    fix: 'check the plugin, then have the template reviewed',
  },
  'url-host': {
    level: 'error',
    title: 'User text chooses the host of a request',
    problem: 'can choose the host that is called',
    fix: 'write the scheme and the host as fixed text that ends in "/"',
  },
  'http-content': {
    level: 'warning',
    title: 'User text in a request',
    problem: 'is put into the request as text: it can add fields, or change the path',
    fix: 'write {{=toJson(inputs.parameters.name)}} without quotes around it in a JSON body; do not build paths from user text',
  },
  image: {
    level: 'error',
    title: 'User text chooses the image',
    problem: 'is part of the image',
    fix: 'write a fixed image; offer a choice by an enum or by templates with "when"',
  },
  'service-account': {
    level: 'error',
    title: 'User text chooses the service account',
    problem: 'is part of the name of the service account',
    fix: 'write a fixed service account',
  },
  secret: {
    level: 'error',
    title: 'User text chooses a secret or a path of the node',
    problem: 'chooses which secret or which path of the node the pod gets',
    fix: 'write a fixed name',
  },
  'variable-name': {
    level: 'error',
    title: 'User text names an environment variable',
    problem: 'is the name of an environment variable: LD_PRELOAD and BASH_ENV run code',
    fix: 'write a fixed name, and put the text into value',
  },
  'secret-expansion': {
    level: 'warning',
    title: 'User text beside a secret',
    problem: 'can read a secret: Kubernetes replaces $(NAME) in it by a variable of the container',
    fix: 'move the variables with user text to the beginning of env, and put no user text into args',
  },
  'template-name': {
    level: 'error',
    title: 'User text chooses the template',
    problem: 'chooses the template that runs',
    fix: 'write one step for each template, with "when"',
  },
  placement: {
    level: 'warning',
    title: "User text in the pod's surroundings",
    problem: 'decides where the pod runs, what it mounts, or where it looks for programs',
    fix: 'write fixed text; offer a choice by an enum',
  },
  'artifact-location': {
    level: 'warning',
    title: 'User text in the location of an artifact',
    problem: "is part of an artifact's location: it can name the artifacts of others",
    fix: 'use {{workflow.name}} or {{=sprig.sha256sum(inputs.parameters.name)}}, or a fixed location',
  },
  memoize: {
    level: 'warning',
    title: 'User text in the key of a cache',
    problem: 'is part of the key of a cache: runs can take results that others prepared',
    fix: 'use {{=sprig.sha256sum(inputs.parameters.name)}} with all that the result depends on',
  },
  mutex: {
    level: 'info',
    title: 'User text in the name of a lock',
    problem: 'is part of the name of a lock: users decide who waits for whom',
    fix: 'nothing, if this is intended',
  },
  'shell-quoting': {
    level: 'warning',
    title: 'A variable with user text without quotes',
    problem: 'contains user text and is not quoted: the shell splits it into words and expands * in them',
    fix: 'write "$NAME", with double quotes',
  },
  'shell-eval': {
    level: 'warning',
    title: 'A shell evaluates a variable with user text',
    problem: 'contains user text and is evaluated as code',
    fix: 'do not evaluate text; use the variable as data: "$NAME". Bash also evaluates numbers: check first that it is one',
  },
  'unseen-template': {
    level: 'warning',
    title: 'User text goes to a template that cannot be seen',
    problem: 'is given to a template that is not among the files (or in the namespace)',
    fix: 'give the file of that template too',
  },
  'missing-template': {
    level: 'error',
    title: 'A template does not exist',
    problem: 'does not exist: the whole run fails',
    fix: 'correct the name',
  },
  'default-without-value': {
    level: 'warning',
    title: 'A workflow argument has a default and no value',
    problem:
      'has a default and no value: Argo ignores defaults of workflow arguments and refuses a run that does not set it',
    fix: 'write value: instead of default:',
  },
  'enum-without-value': {
    level: 'info',
    title: 'A workflow argument has an enum and no value',
    problem: 'has an enum and no value: Argo refuses a run that does not set it',
    fix: 'nothing, if users must choose; otherwise add value:',
  },
  'value-outside-enum': {
    level: 'warning',
    title: 'A value that is not in the enum',
    problem: 'has a value that is not in its enum',
    fix: 'use a value of the enum',
  },
  'suspend-without-default': {
    level: 'warning',
    title: 'A suspend step with a duration and an output without default',
    problem: 'has no default: the run ends in error when the duration is over',
    fix: 'add valueFrom.default, or remove the duration',
  },
  'suspend-too-short': {
    level: 'warning',
    title: 'A suspend step that ends before its approval expires',
    problem: 'is shorter than the approval timeout: Argo resumes the run as if it were approved',
    fix: 'remove suspend.duration; facteur ends the approval itself',
  },
  'suspend-duration': {
    level: 'warning',
    title: 'A suspend step with an invalid duration',
    problem: 'is invalid for Argo: the workflow ends in an error there',
    fix: 'write seconds or hours, such as 172800 or 48h: Argo has no unit for days',
  },
  'approval-annotation': {
    level: 'warning',
    title: 'An approval with an invalid annotation',
    problem: 'so nobody can decide the approval',
    fix: 'correct the annotation',
  },
  everyone: {
    level: 'warning',
    title: 'The id of the server among roles or approvers',
    problem: EVERYONE_FAULT,
    fix: 'name a role of the server, or leave it out',
  },
  // Only a warning, because the configuration may fill these parameters.
  'command-definition': {
    level: 'warning',
    title: 'A command that facteur cannot make of the template',
    problem: 'so the template gets no command',
    fix: 'correct the annotation or the parameter',
  },
  'review-outdated': {
    level: 'error',
    title: 'The template changed after its review',
    problem: 'does not match the reviewed spec',
    fix: 'review the template again',
  },
  unreadable: {
    level: 'error',
    title: 'A template that cannot be checked',
    problem: 'is too large or nested too deeply to be checked',
    fix: 'make it smaller, or check fewer files at once',
  },
} as const satisfies Readonly<Record<string, Rule>>;

export type RuleId = keyof typeof RULES;
