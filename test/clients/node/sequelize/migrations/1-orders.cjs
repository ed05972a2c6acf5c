module.exports = {
  up: async (queryInterface, { INTEGER }) => {
    await queryInterface.createTable("orders", {
      id: { type: INTEGER, primaryKey: true, autoIncrement: true },
      item: { type: INTEGER, references: { model: "items", key: "id" } },
    });
    await queryInterface.addIndex("orders", ["item"]);
    await queryInterface.bulkInsert("orders", [{ item: 1 }, { item: 2 }]);
  },
  down: (queryInterface) => queryInterface.dropTable("orders"),
};
