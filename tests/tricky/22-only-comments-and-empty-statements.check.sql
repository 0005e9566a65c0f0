SELECT to_regclass('quiet') IS NOT NULL;
