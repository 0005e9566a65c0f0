select 'long';
