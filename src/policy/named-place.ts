import type { AuthMethod, Client } from "./client.ts";
import { matchesGlob } from "./glob.ts";
import { isInNetwork, type Network } from "./network.ts";

/** From where, and how, somebody may be somebody. What is absent is not asked; all that is given must hold. */
export interface NamedPlace {
  /** Absent: all of them. */
  readonly environments?: readonly string[] | undefined;
  readonly clients?: readonly Network[] | undefined;
  readonly methods?: readonly AuthMethod[] | undefined;
  /** Globs. As the program claims: good for routine, no proof of anything. */
  readonly applicationNames?: readonly string[] | undefined;
}

/** Whether one of the places that somebody is tied to in an environment is where they are; who is tied to none may. */
export function isAtOwnPlace(
  places: readonly NamedPlace[],
  client: Client,
  environment: string,
): boolean {
  const asked = places.filter(({ environments }) => environments?.includes(environment) ?? true);
  return asked.length === 0 || asked.some((place) => fits(place, client));
}

function fits({ clients, methods, applicationNames }: NamedPlace, client: Client): boolean {
  return (
    (clients?.some((network) => isInNetwork(network, client.address)) ?? true) &&
    (methods?.includes(client.method) ?? true) &&
    (applicationNames?.some((glob) => matchesGlob(glob, client.applicationName)) ?? true)
  );
}
