#!/bin/sh
# Runs once, when the database is made and postgresql-roles.sql has made its two roles: gives both a password.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname authsrv <<'END'
\set owner `cat /run/secrets/database_owner_password`
\set server `cat /run/secrets/database_password`
ALTER ROLE authsrv_owner PASSWORD :'owner';
ALTER ROLE authsrv PASSWORD :'server';
END
