SELECT string_agg(v, '|' ORDER BY n) = U&'it''s; \005C|\005C'';|A\00E9''|data;\005C|A;|10100011111|n;'
  AND to_regclass('"tab;le"') IS NOT NULL FROM escapes;
