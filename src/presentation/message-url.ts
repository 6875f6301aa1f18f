/** The URL of a message in Discord; undefined if the ids are invalid. */
export function messageUrl(place: {
  readonly guildId: string;
  readonly channelId: string;
  readonly messageId: string;
}): string | undefined {
  const ids = [place.guildId, place.channelId, place.messageId];
  return ids.every((id) => /^\d{1,20}$/.test(id)) ? `https://discord.com/channels/${ids.join('/')}` : undefined;
}
