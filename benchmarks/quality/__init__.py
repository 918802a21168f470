"""What the benchmarks of alignment quality share: corpora, gold relations, systems, figures."""
