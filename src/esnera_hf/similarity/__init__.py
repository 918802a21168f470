"""How alike two labels are: what taggers predict, where mentions lie in an encoder's space, what they share."""
