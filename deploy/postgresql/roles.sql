-- The accounts of the registry on PostgreSQL, each with the rights it needs. Run once in the registry's database, by
-- an administrator, before the first `python -m service migrate`:
--   psql -d registry -f deploy/postgresql/roles.sql
-- Running it again changes nothing. Then give each account a password or a certificate, and use
--   codevector_migrate for `python -m service migrate`: it owns the tables
--   codevector_serve   for `python -m service` and its other commands: rows, but no tables
--   codevector_read    for backups by pg_dump and for looking: nothing is written. Credentials in it are sealed

DO $$
DECLARE
    account text;
BEGIN
    FOREACH account IN ARRAY ARRAY['codevector_migrate', 'codevector_serve', 'codevector_read'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = account) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', account);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), account);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO codevector_migrate;
GRANT USAGE ON SCHEMA public TO codevector_serve, codevector_read;

-- For the tables that migrations will make,
ALTER DEFAULT PRIVILEGES FOR ROLE codevector_migrate IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO codevector_serve;
ALTER DEFAULT PRIVILEGES FOR ROLE codevector_migrate IN SCHEMA public
    GRANT SELECT ON TABLES TO codevector_read;
-- and for those that are there already, which codevector_migrate must own.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO codevector_serve;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO codevector_read;
