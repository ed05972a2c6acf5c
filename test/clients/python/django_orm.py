import os

import django
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Count, F
from story import BIG, ERRORS, ROWS, TEXT, WHO, digest, failure, rows, say, tell

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "OPTIONS": {"server_side_binding": False},
        }
    },
    USE_TZ=True,
)
django.setup()


class Item(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)

    class Meta:
        app_label = "clients"
        db_table = "items"


class Note(models.Model):
    item = models.ForeignKey(Item, models.CASCADE, db_column="item", null=True)
    body = models.TextField(null=True)

    class Meta:
        app_label = "clients"
        db_table = "notes"


def run(sql, values=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return rows(cursor.fetchall()) if cursor.description else cursor.rowcount


def session():
    say("connect", run(WHO))
    Note.objects.bulk_create([Note(item_id=n, body=TEXT) for n in range(1, 60)])
    Item.objects.filter(id=3).update(name="three", price=F("price") * 2)
    made = Item.objects.get_or_create(id=300, defaults={"name": "new"})
    deleted = Item.objects.filter(id=99).delete()
    say("queries", [rows(Note.objects.values_list("item_id").annotate(n=Count("id")).order_by("item_id")[:5]), made[1], deleted, Note.objects.select_related("item").get(item_id=4).item.name])
    say("types", run("SELECT * FROM everything WHERE id <> 2 ORDER BY id"))
    say("large", [digest(run(ROWS)), run("SELECT length(%s)", [BIG])])
    say("errors", [failure(run, sql) for sql in ERRORS])
    with transaction.atomic():
        Item.objects.create(id=200, name="a")

        def nested():
            with transaction.atomic():
                Item.objects.create(id=1, name="b")

        inner = failure(nested)
        Item.objects.create(id=201, name="c")

    def undone():
        with transaction.atomic():
            Item.objects.filter(id=200).delete()
            raise ValueError("no")

    say("transactions", [inner, failure(undone), rows(Item.objects.filter(id__gte=200).order_by("id").values_list("id"))])
    say("cursor", sum(item.id for item in Item.objects.order_by("id").iterator(chunk_size=7)))


tell("Django", session, lambda: run("DELETE FROM items"), Item.objects.count)
