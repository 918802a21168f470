"""``python -m esnera_hf``."""

from esnera_hf.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
