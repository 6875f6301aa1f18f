import { foreignApplication, missingAccess } from './discord-failure.ts';
import { botUser } from './message-json.ts';
import type { Call, Reply, Route } from './route.ts';

const COMMAND_LIMIT = { count: 5, windowMs: 20_000 };
const READ_LIMIT = { count: 30, windowMs: 10_000 };

/** The guild of the commands, `''` for the global ones. @throws DiscordFailure 20012 or 50001 */
function scopeOf({ world, params }: Call): string {
  if (params['app'] !== world.applicationId) {
    throw foreignApplication();
  }
  const guild = params['guild'] ?? '';
  if (guild !== '' && guild !== world.guildId) {
    throw missingAccess();
  }
  return guild;
}

/** A list has translations only on request. */
function list(call: Call): Reply {
  const hidden = call.query.get('with_localizations') === 'true' ? '' : '_localizations';
  const text = JSON.stringify(call.world.commands.list(scopeOf(call)), (key, value: unknown) =>
    hidden !== '' && key.endsWith(hidden) ? undefined : value,
  );
  return { status: 200, body: JSON.parse(text) as Reply['body'] };
}

function create(call: Call): Reply {
  const { command, fresh } = call.world.commands.create(scopeOf(call), call.body);
  return { status: fresh ? 201 : 200, body: command };
}

function remove(call: Call): Reply {
  call.world.commands.delete(scopeOf(call), call.params['command'] ?? '');
  return { status: 204 };
}

function me({ world }: Call): Reply {
  return { status: 200, body: botUser(world.applicationId) };
}

function application({ world }: Call): Reply {
  return {
    status: 200,
    body: { id: world.applicationId, name: 'facteur', description: '', bot_public: false, flags: 0 },
  };
}

function commandRoutes(prefix: string): readonly Route[] {
  const shared = { auth: 'bot', major: 'app' } as const;
  const all = `${prefix}/commands`;
  const one = `${prefix}/commands/{command}`;
  const id = ({ params }: Call): string => params['command'] ?? '';
  return [
    {
      ...shared,
      name: 'command.list',
      method: 'GET',
      path: all,
      limit: READ_LIMIT,
      handle: list,
    },
    { ...shared, name: 'command.create', method: 'POST', path: all, limit: COMMAND_LIMIT, handle: create },
    {
      ...shared,
      name: 'command.replace',
      method: 'PUT',
      path: all,
      limit: COMMAND_LIMIT,
      handle: (call) => ({ status: 200, body: call.world.commands.replaceAll(scopeOf(call), call.list) }),
    },
    {
      ...shared,
      name: 'command.get',
      method: 'GET',
      path: one,
      limit: READ_LIMIT,
      handle: (call) => ({ status: 200, body: call.world.commands.get(scopeOf(call), id(call)) }),
    },
    {
      ...shared,
      name: 'command.edit',
      method: 'PATCH',
      path: one,
      limit: COMMAND_LIMIT,
      handle: (call) => ({ status: 200, body: call.world.commands.edit(scopeOf(call), id(call), call.body) }),
    },
    { ...shared, name: 'command.delete', method: 'DELETE', path: one, limit: COMMAND_LIMIT, handle: remove },
  ];
}

/** Routes for the bot itself and for its commands, global and by guild. */
export const APPLICATION_ROUTES: readonly Route[] = [
  { name: 'user.me', method: 'GET', path: '/users/@me', auth: 'bot', limit: READ_LIMIT, major: '', handle: me },
  {
    name: 'application.me',
    method: 'GET',
    path: '/applications/@me',
    auth: 'bot',
    limit: READ_LIMIT,
    major: '',
    handle: application,
  },
  ...commandRoutes('/applications/{app}'),
  ...commandRoutes('/applications/{app}/guilds/{guild}'),
];
