"""What somebody does who never installed this package: load a tagger from a folder and from the cache, use it.

Run by a test in a process of its own: the repository's folder, the id of the
same model in the cache, and a JSON file of texts and sentences; prints JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any


class Hidden:
    """Makes the package unimportable."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "esnera_hf":
            raise ModuleNotFoundError(f"No module named {name!r}")


sys.meta_path.insert(0, Hidden())  # type: ignore[arg-type]

from transformers import AutoModelForTokenClassification, pipeline  # noqa: E402


def main(folder: str, repo_id: str, file: str) -> dict[str, Any]:
    with open(file, encoding="utf-8") as stream:
        inputs = json.load(stream)
    model = AutoModelForTokenClassification.from_pretrained(folder, trust_remote_code=True)
    result: dict[str, Any] = {"model": type(model).__module__}
    named = pipeline("token-classification", model=folder, trust_remote_code=True)
    result["texts"] = named(inputs["texts"])
    inferred = pipeline(model=repo_id, trust_remote_code=True, batch_size=4)
    result["pipeline"] = type(inferred).__module__
    result["sentences"] = inferred(inputs["sentences"], is_split_into_words=True)
    alias = pipeline("ner", model=repo_id, trust_remote_code=True, aggregation_strategy="simple")
    result["stock"] = [[e["entity_group"], e["start"], e["end"]] for e in alias("anna met bruno")]
    inferred.save_pretrained(inputs["output"])
    result["package"] = any(name.startswith("esnera_hf") for name in sys.modules)
    return result


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
