SELECT
    (SELECT count(*) FROM record),
    (SELECT count(*) FROM invitation),
    (SELECT (p.page_count - f.freelist_count) * s.page_size
     FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s)
