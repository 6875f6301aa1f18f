#!/usr/bin/env bash
# Runs `facteur consume` against a broker on this machine, for a smoke test. Nothing else is required.
#
#   scripts/facteur-consumer-local.sh [ARGUMENTS OF facteur consume]
#
# CONFIG_PATH names a configuration file. Settings that neither it nor the environment has get a default here: an embedded
# Postgres below .facteur/, sessions in memory, and no cluster without a kubeconfig.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

if [[ -n "${CONFIG_PATH:-}" ]]; then
  export FACTEUR_CONFIG_FILE="${CONFIG_PATH}"
elif [[ -z "${FACTEUR_CONFIG_FILE:-}" ]]; then
  export FACTEUR_CONSUMER_BROKERS="${FACTEUR_CONSUMER_BROKERS:-localhost:9092}"
  export FACTEUR_CONSUMER_TOPIC="${FACTEUR_CONSUMER_TOPIC:-discord.commands.incoming}"
  export FACTEUR_CONSUMER_GROUP_ID="${FACTEUR_CONSUMER_GROUP_ID:-facteur}"
  export FACTEUR_DISCORD_BOT_TOKEN="${FACTEUR_DISCORD_BOT_TOKEN:-local}"
  export FACTEUR_DISCORD_APPLICATION_ID="${FACTEUR_DISCORD_APPLICATION_ID:-100000000000000001}"
  export FACTEUR_REDIS_URL="${FACTEUR_REDIS_URL:-memory://}"
  export FACTEUR_POSTGRES_DSN="${FACTEUR_POSTGRES_DSN:-pglite:${root}/.facteur/consumer}"
  export FACTEUR_ARGO_NAMESPACE="${FACTEUR_ARGO_NAMESPACE:-argo-workflows}"
  export FACTEUR_ARGO_WORKFLOW_TEMPLATE="${FACTEUR_ARGO_WORKFLOW_TEMPLATE:-facteur-dispatch}"
  if [[ -z "${FACTEUR_KUBECONFIG:-}${KUBECONFIG:-}" ]]; then
    export FACTEUR_DISABLE_DISPATCHER="${FACTEUR_DISABLE_DISPATCHER:-1}"
  fi
fi
export FACTEUR_CONSUMER_ENABLED="${FACTEUR_CONSUMER_ENABLED:-true}"

echo "facteur consume: ${FACTEUR_CONFIG_FILE:-topic ${FACTEUR_CONSUMER_TOPIC} of ${FACTEUR_CONSUMER_BROKERS}}" >&2
# Uses the repository's own Node; the system's may be too old.
node="${root}/node_modules/.bin/node"
[[ -x "${node}" ]] || node=node
exec "${node}" "${root}/bin/facteur" consume "$@"
