# /// script
# requires-python = ">=3.11"
# dependencies = ["esnera-hf"]
#
# [tool.hf-jobs]
# flavor = "a10g-small"
# timeout = "4h"
# secrets = ["HF_TOKEN"]
# ///
"""Align NER datasets of the Hub, merge them, and publish the merged dataset with its card.

    python hub_scripts/merge_and_push.py me/zh-ner cluener hltcoe/weibo_ner --no-text
    uv run hub_scripts/merge_and_push.py …
    hf jobs uv run hub_scripts/merge_and_push.py …

Until a release of esnera-hf is on the package index, build it and point uv to it: see README.md in this folder.

The terms of the sources count: text that may not be passed on is not published. --no-text publishes the recipe
instead; --may-share NAME states that you hold the right to pass the text of a source on.
"""

from __future__ import annotations

import argparse
import sys

import esnera_hf
from esnera_hf import AlignSettings, EsneraError, GreedySettings, OutputSettings, TaggerSettings
from esnera_hf._internal.processes import is_main_process
from esnera_hf.hub.push import DatasetSettings
from esnera_hf.hub.repository import HubRepository


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output_repo", help="dataset repository to publish to: owner/name")
    parser.add_argument(
        "sources", nargs="+", help="known names, Hub dataset ids, paths or name=path; two or more"
    )
    parser.add_argument("--encoder", help="Hub id or folder of a pretrained encoder (default: by language)")
    parser.add_argument("--method", choices=("equivalence", "greedy"), default="equivalence")
    parser.add_argument("--lambda", dest="lam", type=float, help="λ of the greedy method (default: searched)")
    parser.add_argument("--tau", type=float, help="τ of the greedy method (default: searched)")
    parser.add_argument(
        "--max-samples", type=int, help="use at most so many sentences per split of each source"
    )
    parser.add_argument(
        "--search-samples", type=int, help="measure and search on at most so many; all are merged in the end"
    )
    parser.add_argument("--epochs", type=float, help="of every training (default: by corpus size)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--tagger-repo", help="train a tagger on the merged dataset, publish it here, too")
    parser.add_argument("--private", action="store_true", help="make the repositories private")
    parser.add_argument("--no-text", action="store_true", help="publish the recipe, without any text")
    parser.add_argument("--may-share", action="append", default=[], metavar="NAME", help="may be given again")
    parser.add_argument("--by-source", action="store_true", help="add a configuration per source")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Align, merge, publish."""
    options = parse(arguments)
    training = {} if options.epochs is None else {"num_train_epochs": options.epochs}
    private = True if options.private else None
    try:
        greedy = {"lam": options.lam, "tau": options.tau, "max_samples": options.search_samples}
        settings = AlignSettings(
            taggers=TaggerSettings(training=training),
            greedy=GreedySettings(**{name: value for name, value in greedy.items() if value is not None}),
            output=OutputSettings(train_merged=options.tagger_repo is not None),
        )
        publish = DatasetSettings(not options.no_text, options.may_share, options.by_source)
        sources = [esnera_hf.load_source(source) for source in options.sources]
        repositories = [HubRepository(options.output_repo, "dataset")]
        if options.tagger_repo is not None:
            repositories.append(HubRepository(options.tagger_repo, "model"))
        publish.check({source.name: source.license for source in sources})
        for repository in repositories:
            repository.prepare(private)
        result = esnera_hf.align(
            sources,
            encoder=options.encoder,
            method=options.method,
            max_samples=options.max_samples,
            seed=options.seed,
            settings=settings,
        )
        if not is_main_process():
            return 0
        print(result.report, result, sep="\n")
        print(
            result.push_to_hub(
                options.output_repo,
                private=private,
                text=not options.no_text,
                may_share=options.may_share,
                by_source=options.by_source,
            )
        )
        if options.tagger_repo is not None:
            tagger = result.load_tagger().with_record(dataset_repo=repositories[0].repo_id)
            print(tagger.push_to_hub(options.tagger_repo, private=private))
    except EsneraError as error:
        print(f"merge_and_push: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nmerge_and_push: interrupted. Finished trainings are kept, and the same command "
            "goes on where it stopped.",
            file=sys.stderr,
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
