"""A database file of qlued's with the tables that Django makes for it, and a few people in them."""

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "password" varchar(128) NOT NULL,
    "last_login" datetime NULL, "is_superuser" bool NOT NULL, "username" varchar(150) NOT NULL UNIQUE,
    "last_name" varchar(150) NOT NULL, "email" varchar(254) NOT NULL, "is_staff" bool NOT NULL,
    "is_active" bool NOT NULL, "date_joined" datetime NOT NULL, "first_name" varchar(150) NOT NULL);
CREATE TABLE "qlued_storageproviderdb" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "storage_type" varchar(20) NOT NULL, "name" varchar(50) NOT NULL UNIQUE, "is_active" bool NOT NULL,
    "description" varchar(500) NULL, "login" text NOT NULL CHECK ((JSON_VALID("login") OR "login" IS NULL)),
    "owner_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "qlued_token" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "key" varchar(40) NOT NULL UNIQUE,
    "created_at" datetime NOT NULL, "is_active" bool NOT NULL,
    "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED,
    "storage_provider_id" bigint NULL REFERENCES "qlued_storageproviderdb" ("id") DEFERRABLE INITIALLY DEFERRED);
"""

ALICE, BOB, CAROL = (f"{digit}" * 32 for digit in "abc")
"""Tokens as qlued draws them: 32 hexadecimal digits."""


def add_user(file: sqlite3.Connection, row: int, name: object, *, is_active: int = 1, is_superuser: int = 0) -> None:
    """Add a user as Django does."""
    file.execute(
        "INSERT INTO auth_user VALUES (?, 'pbkdf2_sha256$x', NULL, ?, ?, '', 'a@b', 0, ?, '2024-01-07 15:44:00', '')",
        (row, is_superuser, name, is_active),
    )


def add_token(file: sqlite3.Connection, row: int, user: int, key: object, *, is_active: int = 1) -> None:
    """Add a token as qlued does."""
    file.execute(
        "INSERT INTO qlued_token VALUES (?, ?, '2024-01-07 15:45:00.123456', ?, ?, NULL)", (row, key, is_active, user)
    )


def make(path: Path) -> sqlite3.Connection:
    """Make the file, with alice, who is a superuser, and bob and carol; carol is not active."""
    file = sqlite3.connect(path, isolation_level=None)
    file.executescript(SCHEMA)
    add_user(file, 1, "alice", is_superuser=1)
    add_user(file, 2, "bob")
    add_user(file, 3, "carol", is_active=0)
    add_token(file, 1, 1, ALICE)
    add_token(file, 2, 2, BOB)
    add_token(file, 3, 3, CAROL)
    return file
