import { isIP } from 'node:net';
import type { ConfigWith } from './config.ts';
import type { Fault } from './fault.ts';

/**
 * What a valid configuration exposes, for `config check`. Whether that is intended depends on the network, which the
 * configuration does not know, so it never prevents a start.
 */
export function exposures({ server, discord, roleMap }: ConfigWith<never>): readonly Fault[] {
  const intake = server.listeners.find(({ doors }) => doors.includes('intake'));
  const isChecked = server.intakeTokens.length > 0 || server.intakeOidc !== undefined;
  const isOpen = !isChecked && intake !== undefined && !isLoopback(intake.host);
  const isAnyGuild = discord !== undefined && discord.guildId === undefined && Object.keys(roleMap).length === 0;
  return [
    ...(isOpen
      ? [
          {
            key: 'server.intake_tokens',
            message: `server.intake_tokens is empty: anyone who reaches port ${intake.port} can start workflows; let a network policy admit only senders`,
          },
        ]
      : []),
    ...(isAnyGuild
      ? [
          {
            key: 'discord.guild_id',
            message:
              'discord.guild_id and role_map are empty: every member of every server with the application may run every command',
          },
        ]
      : []),
  ];
}

/** Whether only programs on this machine can reach a listener with this host. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
