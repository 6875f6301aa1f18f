# syntax=docker/dockerfile:1

# Build on the target platform: the compiled code is valid only for one architecture and one exact version of Node, the one
# in package-lock.json. The image runs that same Node.
FROM node:24.21.0-trixie-slim@sha256:173f125896c3b47ddf056734c7ea789d04595a6a08769a8f78e0df642781fb66 AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY tsconfig.json ./
COPY bin ./bin
COPY migrations ./migrations
COPY sandbox ./sandbox
COPY scripts ./scripts
COPY src ./src
ARG FACTEUR_COMMIT=unknown
# The final image has no env(1), so the shebang names Node directly. /usr/local/bin/facteur is the path in the image of the Go
# service: jobs may name it as their command.
RUN npm run build \
  && sed -i '1s|.*|#!/usr/local/bin/node|' out/bin/facteur \
  && mkdir local \
  && cp -L node_modules/.bin/node local/node \
  && ln -s /app/bin/facteur local/facteur

# Only the C and C++ libraries that Node needs, and CA certificates: no shell, no package manager.
FROM gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97
ARG FACTEUR_VERSION=
ARG FACTEUR_COMMIT=unknown
LABEL org.opencontainers.image.title="facteur" \
  org.opencontainers.image.description="Runs Argo Workflows from Discord, Kafka and HTTP: durable and exactly once" \
  org.opencontainers.image.source="https://github.com/proompteng/facteur" \
  org.opencontainers.image.version="${FACTEUR_VERSION}" \
  org.opencontainers.image.revision="${FACTEUR_COMMIT}"
COPY --from=build --chown=0:0 /build/local/ /usr/local/bin/
COPY --from=build --chown=0:0 /build/out /app
# HOME is set because an arbitrary user id has no home directory. An empty version means the version that the build recorded.
# By default V8 reserves two semi-spaces of 32 MiB, although 8 MiB are as fast, and lets the heap outgrow a small container;
# a single malloc arena returns memory that several would keep (docs/performance.md).
ENV NODE_ENV=production \
  NODE_OPTIONS="--max-semi-space-size=8 --max-old-space-size-percentage=50" \
  MALLOC_ARENA_MAX=1 \
  HOME=/app \
  PATH=/app/bin:/usr/local/bin \
  FACTEUR_VERSION=${FACTEUR_VERSION} \
  FACTEUR_COMMIT=${FACTEUR_COMMIT}
WORKDIR /app
USER 65532:65532
EXPOSE 8080
# For container engines without probes. It reads the file that FACTEUR_CONFIG_FILE names. `consume` listens on no port: disable the
# health check there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=6 CMD ["/app/bin/facteur", "health"]
ENTRYPOINT ["/app/bin/facteur"]
CMD ["serve"]
