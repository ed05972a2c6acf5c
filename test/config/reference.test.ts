import { expect, test } from "vitest";
import { configurationReference } from "./reference.ts";

test("the reference page says what the schema says", async () => {
  await expect(await configurationReference()).toMatchFileSnapshot(
    "../../docs/reference/configuration.md",
  );
});
