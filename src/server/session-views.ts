import type { Sessions, SessionView } from "../admin/session-routes.ts";
import { SQLSTATE, TwokeyError } from "../base/errors.ts";
import type { OpenSession, OpenSessions } from "../session/open-sessions.ts";

/** The open sessions as the API shows and ends them. */
export function sessionViews(sessions: OpenSessions): Sessions {
  return {
    list: () => sessions.list().map(toView),
    terminate: (id, by) => {
      const session = sessions.get(id);
      session?.relay.terminate(terminatedBy(by));
      return session !== undefined;
    },
  };
}

function terminatedBy(person: string): TwokeyError {
  return new TwokeyError(
    SQLSTATE.adminShutdown,
    "terminating connection due to administrator command",
    { detail: `${person} ended this session through twokey.` },
  );
}

function toView({ situation, startedAt, relay }: OpenSession): SessionView {
  const { session, principal, address, client, place } = situation;
  const { statement } = relay;
  return {
    id: session,
    person: principal.name,
    roles: principal.roles,
    address,
    application_name: client.applicationName,
    environment: place.environment,
    database: place.database,
    state: relay.activity,
    started_at: startedAt.toISOString(),
    ...(statement !== undefined && {
      statement: { sql: statement.sql, started_at: statement.startedAt.toISOString() },
    }),
  };
}
