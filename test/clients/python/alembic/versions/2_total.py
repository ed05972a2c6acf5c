import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade():
    op.add_column("orders", sa.Column("total", sa.Numeric, server_default="0"))


def downgrade():
    op.drop_column("orders", "total")
