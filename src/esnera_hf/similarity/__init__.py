"""How two labels relate: measured by light heads or taggers, told as probabilities of five relations."""
