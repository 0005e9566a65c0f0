SELECT string_agg(who, ',') = 'pg_monitor' FROM acted;
