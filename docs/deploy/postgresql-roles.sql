-- Two roles for authsrv: `authsrv_owner` owns the tables and runs `authsrv migrate`; `authsrv` reads and writes rows, and
-- is what nodes use. Run it once as an administrator, in the database of authsrv:
--
--     createdb --template=template0 --encoding=UTF8 authsrv
--     psql --dbname=authsrv --set=ON_ERROR_STOP=1 --single-transaction --file=postgresql-roles.sql
--
-- and give both a password, which psql sends as a hash:  \password authsrv_owner   and   \password authsrv

CREATE ROLE authsrv_owner LOGIN;
CREATE ROLE authsrv LOGIN;

-- Nobody else has any business here, and neither role makes temporary tables.
REVOKE ALL ON DATABASE authsrv FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CONNECT ON DATABASE authsrv TO authsrv_owner, authsrv;

-- What a migration needs: tables and indexes of its own.
GRANT USAGE, CREATE ON SCHEMA public TO authsrv_owner;

-- What serving needs, of tables that are there and of those that later migrations make.
GRANT USAGE ON SCHEMA public TO authsrv;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO authsrv;
-- Administrators who are no superusers, as on managed servers, may say so for roles alone that they belong to.
GRANT authsrv_owner TO CURRENT_USER;
ALTER DEFAULT PRIVILEGES FOR ROLE authsrv_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO authsrv;
REVOKE authsrv_owner FROM CURRENT_USER;
