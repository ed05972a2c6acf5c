import { PrismaPg } from "@prisma/adapter-pg";
import { defineConfig } from "prisma/config";
import { connection } from "../story.mjs";

// Its engine in WASM, over the adapter: the native one is downloaded from where this suite doesn't go.
export default defineConfig({
  schema: "schema.prisma",
  experimental: { adapter: true },
  engine: "js",
  adapter: () => Promise.resolve(new PrismaPg(connection)),
});
