import type { RouteOptions } from "fastify";
import { z } from "zod";
import { problemSchema } from "./problem.ts";

type JsonObject = Record<string, unknown>;

declare module "fastify" {
  interface FastifyContextConfig {
    /** One line for the OpenAPI document; a route under /api/v1 has one. */
    readonly summary?: string;
    /** Who may call: without this, only who has signed in. */
    readonly access?: "anyone";
  }
}

/** The OpenAPI 3.1 document of those routes, from the very schemas that check their requests and answers. */
export function openApiDocument(routes: readonly RouteOptions[], version: string): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    if (!route.url.startsWith("/api/") || route.method === "HEAD") continue;
    const path = route.url.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [String(route.method).toLowerCase()]: operation(route) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Twokey", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { Problem: jsonSchema(problemSchema, "output") },
    },
    security: [{ token: [] }],
  };
}

function operation(route: RouteOptions): JsonObject {
  const { params, querystring, body, response } = route.schema ?? {};
  return {
    summary: route.config?.summary,
    ...(route.config?.access === "anyone" && { security: [] }),
    parameters: [...parameters("path", params), ...parameters("query", querystring)],
    ...(body instanceof z.ZodType && {
      requestBody: { required: true, content: content(jsonSchema(body, "input")) },
    }),
    responses: { ...responses(response), default: PROBLEM_RESPONSE },
  };
}

const PROBLEM_RESPONSE = {
  description: "what is wrong, and what to do",
  content: {
    "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
  },
};

function parameters(place: "path" | "query", schema: unknown): JsonObject[] {
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).map(([name, member]) => {
    const type = member as z.ZodType;
    const required = place === "path" || !type.safeParse(undefined).success;
    return { name, in: place, required, schema: jsonSchema(type, "input") };
  });
}

function responses(byStatus: unknown): JsonObject {
  if (typeof byStatus !== "object" || byStatus === null) return {};
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, schema]) => [
      status,
      {
        description: "done",
        ...(schema instanceof z.ZodType && { content: content(jsonSchema(schema, "output")) }),
      },
    ]),
  );
}

function content(schema: JsonObject): JsonObject {
  return { "application/json": { schema } };
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): JsonObject {
  // Which dialect it is in, the OpenAPI document says once for all.
  return { ...z.toJSONSchema(schema, { io }), $schema: undefined };
}
