export const up = async (knex) => {
  await knex.schema.createTable("orders", (table) => {
    table.increments();
    table.integer("item").references("items.id").index();
    table.timestamps(true, true);
  });
  await knex("orders").insert([{ item: 1 }, { item: 2 }]);
};

export const down = (knex) => knex.schema.dropTable("orders");
