import type { Client } from "../policy/client.ts";
import type { Place } from "../policy/place.ts";
import type { Principal } from "../policy/principal.ts";

/** Who is connected, from where, to what: all that a decision depends on besides the statement. */
export interface Situation {
  readonly session: string;
  readonly principal: Principal;
  readonly client: Client;
  /** As shown to people and put on record: `10.0.0.7:52814`, or `unix`. */
  readonly address: string;
  readonly place: Place;
  /** The other databases on the same server. */
  readonly neighbours: readonly Place[];
  readonly upstream: string;
  /** Roles of which who has no other only reads here, whatever the rules say. */
  readonly readOnlyRoles: readonly string[];
}
