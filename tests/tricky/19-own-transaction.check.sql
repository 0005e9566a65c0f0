SELECT array_agg(a) = '{2}' FROM owned;
