SELECT string_agg(note, '|' ORDER BY id) = E'it''s; a\\b|none;|two\nlines'
  AND (SELECT count(*) = 2 FROM shop.open) AND count(*) = 3 FROM shop.orders;
