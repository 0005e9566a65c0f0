select id as file_id
from a
