"""Alembic's entry: run the migrations on the connection that __main__ opened, all in one transaction."""

from alembic import context

connection = context.config.attributes["connection"]
if connection is None:
    raise SystemExit("Run migrations with `python -m paasd.migrations DATABASE`.")
context.configure(connection=connection, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
