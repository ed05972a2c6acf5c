import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade():
    orders = op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("customer", sa.Text, nullable=False))
    op.create_index("orders_of_customer", "orders", ["customer"])
    op.bulk_insert(orders, [{"customer": "one"}, {"customer": "two"}])


def downgrade():
    op.drop_table("orders")
