-- three
select '${greeting}';
