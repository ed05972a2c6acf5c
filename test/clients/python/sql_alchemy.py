import os

from sqlalchemy import ARRAY, Column, ForeignKey, Integer, Numeric, Text, create_engine, func, select, text
from sqlalchemy.orm import Session, declarative_base, relationship
from story import BIG, ERRORS, ROWS, TEXT, WHO, digest, failure, rows, say, tell

Base = declarative_base()


class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    name = Column(Text, nullable=False)
    price = Column(Numeric)
    tags = Column(ARRAY(Text))


class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    item_id = Column("item", ForeignKey("items.id"))
    body = Column(Text)
    item = relationship(Item)


def connected(driver):
    return create_engine(f"postgresql+{driver}://", pool_size=2, pool_pre_ping=True)


def session():
    for driver in ("psycopg", "psycopg2"):
        engine = connected(driver)
        with engine.connect() as connection:
            say("connect", rows(connection.execute(text(WHO))))
            say("types", rows(connection.execute(text("SELECT * FROM everything WHERE id <> 2 ORDER BY id"))))
            say("large", [digest(connection.execute(text(ROWS))), rows(connection.execute(text("SELECT length(:big)"), {"big": BIG}))])
        with Session(engine) as unit:
            unit.add_all([Note(item_id=n, body=TEXT) for n in range(1, 60)])
            unit.add(Item(id=300 if driver == "psycopg" else 301, name="new", tags=["a", None]))
            unit.commit()
            unit.get(Item, 3).name = "three"
            unit.delete(unit.get(Item, 99 if driver == "psycopg" else 98))
            unit.commit()
            joined = unit.execute(select(Item.name, func.count(Note.id)).join(Note, Note.item_id == Item.id).group_by(Item.name).order_by(Item.name))
            say("queries", rows(joined))

        def run(sql):
            with engine.begin() as connection:
                connection.execute(text(sql))

        say("errors", [failure(run, sql) for sql in ERRORS])
        with Session(engine) as unit:
            first = 200 if driver == "psycopg" else 210
            unit.add(Item(id=first, name="a"))

            def nested():
                with unit.begin_nested():
                    unit.execute(text("INSERT INTO items VALUES (1, 'b')"))

            inner = failure(nested)
            unit.add(Item(id=first + 1, name="c"))
            unit.commit()
            unit.delete(unit.get(Item, first))
            unit.flush()
            unit.rollback()
            say("transactions", [inner, rows(unit.execute(select(Item.id).where(Item.id >= 200).order_by(Item.id)))])
        with engine.connect().execution_options(stream_results=True, max_row_buffer=7) as connection:
            say("cursor", sum(row[0] for row in connection.execute(text("SELECT id FROM items ORDER BY id"))))
        engine.dispose()


engine = connected("psycopg")
kept = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
tell("SQLAlchemy", session, lambda: kept.execute(Item.__table__.delete()), lambda: kept.execute(select(func.count(Item.id))).scalar())
kept.close()
