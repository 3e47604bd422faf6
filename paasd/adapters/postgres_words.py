"""What is said to a PostgreSQL server of an add-on, whoever runs it: as its superuser, in psql's language.

Names are made of an add-on's id, so they need no quoting; a password is told as its verifier.
"""

import base64
import hashlib
import hmac
import json
import secrets

from paasd.ports import Condition, Order

SCRAM_ROUNDS = 4096
# Those that the owner of a database may make; the heroku CLI asks for them by the setting that Heroku's servers have.
EXTENSIONS = (
    "btree_gin,btree_gist,citext,cube,dict_int,fuzzystrmatch,hstore,intarray,isn,lo,ltree,pg_stat_statements,pg_trgm,pgcrypto,plpgsql,"
    "seg,tablefunc,tcn,tsm_system_rows,tsm_system_time,unaccent,uuid-ossp"
)
ALLOWED = ("rds.allowed_extensions", EXTENSIONS)
# Has to be there when the server starts, where it is at all; what passwords stand in is not counted.
STATISTICS = "pg_stat_statements"
OF_STATISTICS = {"shared_preload_libraries": STATISTICS, f"{STATISTICS}.track_utility": "off"}
# Said before all else: where everybody may make functions in the schema public, as before PostgreSQL 15, one of theirs
# may fit our words better than the server's own, and would do as who says them.
ALONE = "SET search_path = pg_catalog, pg_temp;\n"
# Said to psql. What is in <> is filled in.
FACTS = """
SELECT json_build_object(
  'version', current_setting('server_version'),
  'size', pg_database_size('<database>'),
  'connections', (SELECT count(*) FROM pg_stat_activity WHERE datname = '<database>'),
  'since', pg_postmaster_start_time());
"""
ROLE = r"""
SELECT 'CREATE ROLE <user>' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '<user>') \gexec
ALTER ROLE <user> LOGIN CONNECTION LIMIT <limit> PASSWORD '<verifier>';
"""
# template1 is open to all who use the server: what they left there would be copied, and as long as one of them is
# connected to it nothing is. Nobody may enter until nobody else may.
DATABASE = r"""
SELECT 'CREATE DATABASE <database> OWNER <user> TEMPLATE template0 ALLOW_CONNECTIONS false' WHERE NOT EXISTS
  (SELECT FROM pg_database WHERE datname = '<database>') \gexec
REVOKE ALL ON DATABASE <database> FROM PUBLIC;
ALTER DATABASE <database> ALLOW_CONNECTIONS true;
"""
NEW_PASSWORD = "ALTER ROLE <user> PASSWORD '<verifier>';\n"  # noqa: S105 (of what is said)
HANG_UP = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = '<user>';\n"
DROP = "DROP DATABASE IF EXISTS <database> WITH (FORCE);\n"
# Of a server that others use too, as somebody who may be no superuser there: who may make roles and databases.
OURS = "GRANT <user> TO CURRENT_USER;\n"
MARK = "COMMENT ON DATABASE <database> IS '<mark>';\nCOMMENT ON ROLE <user> IS '<mark>';\n"
IS_THERE = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = '<database>');\n"
MAY_ENTER = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '<user>' AND rolcanlogin);\n"
SET_ASIDE = r"""
SELECT 'ALTER ROLE <user> NOLOGIN' WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = '<user>') \gexec
<hang up>
""".replace("<hang up>", HANG_UP)
PURGE = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
  WHERE application_name = '<application>' AND pid <> pg_backend_pid();
<drop>
DROP ROLE IF EXISTS <user>;
""".replace("<drop>", DROP)
KEPT = r"""
SELECT substr(found, length('<mark>') + 1) FROM (
  SELECT shobj_description(oid, 'pg_database') FROM pg_database
  UNION SELECT shobj_description(oid, 'pg_authid') FROM pg_roles) AS all_of_them (found)
  WHERE starts_with(found, '<mark>');
"""


def role_of(addon_id: str) -> str:
    """The name of its user: the same for ever."""
    return f"u{addon_id.replace('-', '')[:14]}"


def database_of(addon_id: str) -> str:
    """The name of its database."""
    return f"d{addon_id.replace('-', '')[:14]}"


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL keeps of a password (RFC 5803): so it never sees the password itself, nor do its logs."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    first, second, third = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ROUNDS}:{first}${second}:{third}"


def settle_sql(order: Order) -> str:
    """Its user and its database, which no other user may enter. May be said again."""
    return _filled(ROLE + DATABASE, order)


def hang_up_sql(order: Order) -> str:
    """All connections of its user."""
    return _filled(HANG_UP, order)


def rotate_sql(order: Order) -> str:
    """From here on only this password lets in, and nobody stays who came by the one before."""
    return _filled(NEW_PASSWORD + HANG_UP, order)


def reset_sql(order: Order) -> str:
    """Its database anew."""
    return _filled(DROP + DATABASE, order)


def facts_sql(order: Order) -> str:
    """One row of JSON, for `condition_of`."""
    return _filled(FACTS, order)


def shared_settle_sql(order: Order) -> str:
    """As `settle_sql`, where we may be no superuser."""
    return _filled(ROLE + OURS + DATABASE, order)


def mark_sql(order: Order, mark: str) -> str:
    """Says whose its database and role are, for `kept_sql`. The mark is ours: it needs no quoting."""
    return _filled(MARK, order).replace("<mark>", mark)


def kept_sql(mark: str) -> str:
    """What follows this in the marks that begin so, a line each."""
    return ALONE + KEPT.replace("<mark>", mark)


def is_there_sql(order: Order) -> str:
    """t or f: whether its database is there."""
    return _filled(IS_THERE, order)


def may_enter_sql(order: Order) -> str:
    """t or f: whether its user may log in."""
    return _filled(MAY_ENTER, order)


def set_aside_sql(order: Order) -> str:
    """Nobody logs in, or stays logged in, as its user."""
    return _filled(SET_ASIDE, order)


def purge_sql(order: Order, application: str) -> str:
    """Database and user go, after what others who say that they are this `application` do there was ended."""
    return _filled(PURGE, order).replace("<application>", application)


def _filled(words: str, order: Order) -> str:
    values = {
        "<user>": role_of(order.addon_id),
        "<database>": database_of(order.addon_id),
        "<limit>": str(order.plan.connections or -1),
        "<verifier>": scram_verifier(order.secret),
    }
    for name, value in values.items():
        words = words.replace(name, value)
    return ALONE + words


def condition_of(said: str, order: Order) -> Condition:
    """From the answer to `facts_sql`."""
    found = json.loads(said)
    bound = order.plan.connections
    facts = {
        "PG Version": str(found["version"]).split()[0],
        "Connections": f"{found['connections']}/{bound}" if bound else str(found["connections"]),
        "Up Since": str(found["since"]),
    }
    return Condition(up=True, facts=facts, used=int(found["size"]))
