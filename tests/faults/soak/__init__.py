"""`make soak`: twenty apps, seeded random operations and kills under load, and what was promised of it all."""
