#!/bin/sh
# Runs once, when the database is made: who owns the tables, and who may only use them.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'END'
\set owner `cat /run/secrets/database_owner_password`
\set server `cat /run/secrets/database_password`
CREATE ROLE authsrv_owner LOGIN PASSWORD :'owner';
CREATE ROLE authsrv LOGIN PASSWORD :'server';
CREATE DATABASE authsrv OWNER authsrv_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE authsrv FROM PUBLIC;
GRANT CONNECT ON DATABASE authsrv TO authsrv;
\connect authsrv
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO authsrv_owner;
GRANT USAGE ON SCHEMA public TO authsrv;
ALTER DEFAULT PRIVILEGES FOR ROLE authsrv_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO authsrv;
END
