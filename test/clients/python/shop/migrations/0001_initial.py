from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("customer", models.TextField()),
                ("placed", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RunSQL("INSERT INTO shop_order (customer, placed) VALUES ('one', now())", migrations.RunSQL.noop),
        migrations.AddIndex("order", models.Index(fields=["customer"], name="orders_of_customer")),
    ]
