# What `rails db:migrate` and `rails db:drop` call, without the rest of Rails.
require "active_record"

env = ->(name) { ENV.fetch(name) }
ActiveRecord::Base.configurations = {
  "development" => {
    "adapter" => "postgresql", "host" => env.("PGHOST"), "port" => env.("PGPORT"), "username" => env.("PGUSER"),
    "password" => env.("PGPASSWORD"), "database" => env.("PGDATABASE"),
    "sslmode" => "verify-full", "sslrootcert" => env.("PGSSLROOTCERT"),
  },
}
config = ActiveRecord::Base.configurations.configs_for(env_name: "development").first

class CreateOrders < ActiveRecord::Migration[6.1]
  def change
    create_table(:orders) do |table|
      table.text :customer, null: false, index: true
      table.timestamps
    end
  end
end

if ARGV[0] == "db:drop"
  ActiveRecord::Tasks::DatabaseTasks.drop(config)
else
  ActiveRecord::Base.establish_connection(config)
  ActiveRecord::SchemaMigration.create_table
  ActiveRecord::InternalMetadata.create_table
  CreateOrders.migrate(:up)
end
