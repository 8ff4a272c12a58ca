-- Two roles for authsrv: `authsrv_owner` owns the tables and runs `authsrv migrate`; `authsrv` reads and writes rows, and
-- is what nodes use. Run it as an administrator, in each database of authsrv, an empty one for a restore included:
--
--     createdb --template=template0 --encoding=UTF8 authsrv
--     psql --dbname=authsrv --set=ON_ERROR_STOP=1 --single-transaction --file=postgresql-roles.sql
--
-- The first time give both a password, which psql sends as a hash:  \password authsrv_owner   and   \password authsrv

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authsrv_owner') THEN
        CREATE ROLE authsrv_owner LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authsrv') THEN
        CREATE ROLE authsrv LOGIN;
    END IF;
    -- Nobody else has any business in this database, and neither role makes temporary tables.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO authsrv_owner, authsrv', current_database());
END
$$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- What a migration needs: tables and indexes of its own.
GRANT USAGE, CREATE ON SCHEMA public TO authsrv_owner;

-- What serving needs, of tables that are there and of those that later migrations make.
GRANT USAGE ON SCHEMA public TO authsrv;
-- Administrators who are no superusers, as on managed servers, may say so for roles alone that they belong to.
GRANT authsrv_owner TO CURRENT_USER;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO authsrv;
ALTER DEFAULT PRIVILEGES FOR ROLE authsrv_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO authsrv;
REVOKE authsrv_owner FROM CURRENT_USER;
