"""From probabilities or similarities to one label schema: labels merged at once or along the greedy path."""
