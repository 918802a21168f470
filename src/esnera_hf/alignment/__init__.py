"""From similarities to one label schema: labels merged by equivalence or along the greedy path, and their mapping."""
