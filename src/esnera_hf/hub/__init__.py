"""The Hub: cards, what is published in one commit, and published merges made again."""
