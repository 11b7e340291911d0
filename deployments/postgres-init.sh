#!/bin/sh
# Run once by PostgreSQL's image, when its volume is empty: Prefect's role and database beside ours.
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv password PREFECT_SERVER_DATABASE_PASSWORD
\getenv ours POSTGRES_DB
CREATE ROLE prefect LOGIN PASSWORD :'password';
CREATE DATABASE prefect OWNER prefect;
REVOKE CONNECT ON DATABASE :"ours" FROM PUBLIC;
SQL
