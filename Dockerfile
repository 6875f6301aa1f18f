# syntax=docker/dockerfile:1

# Builds on the platform it is for: the compile cache holds for one architecture and one exact Node, which is the one that
# package-lock.json names. That same Node is what runs in the end.
FROM node:24.21.0-trixie-slim@sha256:173f125896c3b47ddf056734c7ea789d04595a6a08769a8f78e0df642781fb66 AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY tsconfig.json ./
COPY bin ./bin
COPY migrations ./migrations
COPY scripts ./scripts
COPY src ./src
ARG FACTEUR_COMMIT=unknown
# As the user that it will run as: Node looks for compiled code under its own user's id only.
RUN chown 65532:65532 /build
USER 65532:65532
# There is no env(1) below for the executable's first line to call.
RUN HOME=/tmp npm run build \
  && sed -i '1s|.*|#!/usr/local/bin/node|' out/bin/facteur \
  && cp -L node_modules/.bin/node node

# The C and C++ libraries that Node needs, certificates, and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97
ARG FACTEUR_VERSION=
ARG FACTEUR_COMMIT=unknown
LABEL org.opencontainers.image.title="facteur" \
  org.opencontainers.image.description="Runs Argo Workflows from Discord, Kafka and HTTP: durable and exactly once" \
  org.opencontainers.image.source="https://github.com/proompteng/facteur" \
  org.opencontainers.image.version="${FACTEUR_VERSION}" \
  org.opencontainers.image.revision="${FACTEUR_COMMIT}"
COPY --from=build --chown=0:0 /build/node /usr/local/bin/node
COPY --from=build --chown=0:0 /build/out /app
# A user of another id has no home of its own. An empty version means: what the build knows. V8 would keep twice 32 MiB for
# young objects in reserve where 8 are as fast (docs/performance.md).
ENV NODE_ENV=production \
  NODE_OPTIONS=--max-semi-space-size=8 \
  HOME=/app \
  PATH=/app/bin:/usr/local/bin \
  FACTEUR_VERSION=${FACTEUR_VERSION} \
  FACTEUR_COMMIT=${FACTEUR_COMMIT}
WORKDIR /app
USER 65532:65532
EXPOSE 8080
# For engines without probes of their own. `consume` does not listen: switch it off there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=6 \
  CMD ["/usr/local/bin/node", "-e", "const port = (process.env.FACTEUR_SERVER_LISTEN_ADDRESS || ':8080').split(':').pop(); fetch(`http://127.0.0.1:${port}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/app/bin/facteur"]
CMD ["serve"]
