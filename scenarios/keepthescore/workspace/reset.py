"""Makes the tables anew, with some boards to play with. For this machine's database only."""

import models

models.db.drop_tables([models.Board, models.Score])
models.db.create_tables([models.Board, models.Score])
