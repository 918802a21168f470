"""A run of the whole method on generated corpora whose true alignment is known."""

from esnera_hf.demo.corpora import DemoCorpus, generate_corpora
from esnera_hf.demo.run import DemoOutcome, make_demo_encoder, run_demo

__all__ = ["DemoCorpus", "DemoOutcome", "generate_corpora", "make_demo_encoder", "run_demo"]
