import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "@prisma/client";
import { BIG, connection, digest, ROWS, say, tell, TEXT, versionOf, WHO } from "./story.mjs";

const prisma = new PrismaClient({ adapter: new PrismaPg({ ...connection, max: 2 }) });

/** It has codes of its own, and the server's inside. */
async function failure(doing) {
  try {
    await doing;
    return "did not fail";
  } catch (error) {
    const cause = error.meta?.driverAdapterError?.cause ?? error.cause ?? error.meta ?? error;
    return {
      code: cause.originalCode ?? cause.code ?? error.code,
      message: cause.originalMessage ?? cause.message ?? error.message,
    };
  }
}

async function session() {
  say("connect", await prisma.$queryRawUnsafe(WHO));
  const note = await prisma.note.create({ data: { body: TEXT, item: { connect: { id: 1 } } } });
  say("queries", [
    note,
    await prisma.item.update({
      where: { id: 3 },
      data: { name: "three", notes: { create: { body: null } } },
      include: { notes: true },
    }),
    await prisma.item.findMany({
      where: { price: { lt: 5 } },
      orderBy: { id: "asc" },
      include: { _count: { select: { notes: true } } },
    }),
    await prisma.item.aggregate({ _sum: { price: true }, _count: true }),
    await prisma.item.delete({ where: { id: 99 } }),
    await prisma.note.createMany({ data: [{ itemId: 1 }, { itemId: 2 }] }),
    await prisma.item.upsert({
      where: { id: 4 },
      create: { id: 4, name: "x" },
      update: { name: "four" },
    }),
    await prisma.$queryRaw`SELECT ${41}::int + 1 AS next, ${TEXT} AS t`,
  ]);
  say(
    "types",
    await prisma.$queryRaw`SELECT a_bool, a_smallint, an_int, a_bigint, a_real, a_double, a_numeric, a_text, a_varchar, a_char, a_bytea, a_date, a_time, a_timestamp, a_timestamptz, a_uuid, a_json, a_jsonb, an_inet, an_int_array, a_text_array FROM everything WHERE id <> 2 ORDER BY id`,
  );
  say("large", [
    digest(await prisma.$queryRawUnsafe(ROWS)),
    await prisma.$queryRaw`SELECT length(${BIG}) AS n`,
  ]);
  say("errors", [
    await failure(prisma.$queryRawUnsafe("SELEC")),
    await failure(prisma.$queryRawUnsafe("SELECT * FROM missing")),
    await failure(prisma.item.create({ data: { id: 1, name: "x" } })),
    await failure(prisma.note.create({ data: { itemId: 12345 } })),
  ]);
  const both = await prisma.$transaction([
    prisma.item.create({ data: { id: 200, name: "a" } }),
    prisma.item.count(),
  ]);
  const inside = await failure(
    prisma.$transaction(async (t) => {
      await t.item.delete({ where: { id: 200 } });
      await t.item.create({ data: { id: 1, name: "b" } });
    }),
  );
  say("transactions", [both, inside, await prisma.item.findMany({ where: { id: { gte: 200 } } })]);
}

async function refuse() {
  try {
    await prisma.item.deleteMany();
  } catch (error) {
    const { originalCode: code, originalMessage: message } =
      error.cause ?? error.meta.driverAdapterError.cause;
    throw Object.assign(new Error(message), { code });
  }
}

await tell({
  version: await versionOf("@prisma/client"),
  session,
  refusal: { fails: refuse, count: () => prisma.item.count() },
});
await prisma.$disconnect();
