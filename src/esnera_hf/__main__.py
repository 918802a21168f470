"""``python -m esnera_hf``."""

from __future__ import annotations

from esnera_hf.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
