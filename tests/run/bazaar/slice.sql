-- One slice of the past; a colon in a text is no name: ':from'.
SET @seconds = TIMESTAMPDIFF(SECOND, :from, :to);
INSERT INTO orders (id, item, pieces, placed_at)
SELECT UUID(), CONCAT('item ', seq), 1 + seq % 9, :from + INTERVAL (@seconds * seq / :rows) SECOND
FROM seq_1_to_100000 WHERE seq <= :rows;
