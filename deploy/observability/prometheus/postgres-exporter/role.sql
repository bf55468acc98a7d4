-- The role of the exporter: it sees how the server does, and no row of ours. Run as a superuser, in any database:
--   psql -c "set ordermesh.password = '…'" -f role.sql
-- Run it again for a new password or a new database.
do $$
declare
  database_name name;
begin
  if not exists (select from pg_roles where rolname = 'metrics') then
    create role metrics;
  end if;
  execute format('alter role metrics login inherit nosuperuser nocreatedb nocreaterole connection limit 10 password %L',
    current_setting('ordermesh.password'));
  grant pg_monitor to metrics;
  for database_name in select datname from pg_database where datallowconn and not datistemplate loop
    execute format('grant connect on database %I to metrics', database_name);
  end loop;
  -- A question that hangs must not become a transaction that holds vacuum up.
  alter role metrics set statement_timeout = '5s';
  alter role metrics set default_transaction_read_only = on;
end
$$;
